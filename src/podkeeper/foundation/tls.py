"""How every server of the cluster speaks TLS."""

from __future__ import annotations

import ssl


def server_tls(certificate: str, key: str, client_ca: str = "") -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/1.1 only. With ``client_ca``, client certificates are optional and checked against it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
