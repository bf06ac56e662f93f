"""Who may talk to the node's server: clients with a certificate of the cluster's CA, and of those only the API server.

Upstream asks the API server for every request (webhook authorization); here the certificate's name and groups decide.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from podkeeper.kubelet.config import KubeletConfig

if TYPE_CHECKING:
    from podkeeper.foundation.keyfiles import KeyPair


class Client(Struct, frozen=True):
    """Who a certificate says that it is."""

    name: str
    groups: tuple[str, ...]


def tls_context(serving: KeyPair, client_ca: str) -> ssl.SSLContext:
    """TLS 1.2 and newer; certificates of clients are checked against the CA, their absence is answered with 401."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(serving.certificate, serving.key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_of(certificate: Mapping[str, Any] | None) -> Client | None:
    """The client of a verified certificate, as ``ssl.getpeercert`` gives it."""
    if not certificate:
        return None
    fields = [pair for relative in certificate.get("subject", ()) for pair in relative]
    names = [value for key, value in fields if key == "commonName"]
    groups = tuple(value for key, value in fields if key == "organizationName")
    return Client(names[0], groups) if names else None


def may(config: KubeletConfig, client: Client) -> bool:
    """Whether the client is the API server or an administrator of the cluster."""
    return client.name in config.allowed_users or bool(set(client.groups) & set(config.allowed_groups))
