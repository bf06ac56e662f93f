"""How to reach an API server, and as whom."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from msgspec import Struct


class ClientConfig(Struct, frozen=True):
    """One server and one set of credentials. Certificates and keys are PEM bytes, wherever they came from.

    ``server`` is ``https://host:port``; a path is kept as a prefix. ``token_file`` is read anew as tokens rotate.
    Without ``ca`` the system's authorities are trusted. ``namespace`` is the context's default, for command lines.
    """

    server: str
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: Path | None = None
    server_name: str = ""
    insecure: bool = False
    namespace: str = "default"


def ssl_context(config: ClientConfig) -> ssl.SSLContext | None:
    """The TLS side of ``config``; None for plain HTTP."""
    if not config.server.startswith("https:"):
        return None
    context = ssl.create_default_context(cadata=config.ca.decode() if config.ca else None)
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.certificate:
        _load_pair(context, config.certificate, config.key)
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads keys from files alone: this one is in memory, and never on a disk."""
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
