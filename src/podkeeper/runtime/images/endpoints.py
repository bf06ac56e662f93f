"""Where a registry is reached: base addresses to try in order, and what each one's TLS must prove."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_HUB = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``base`` is ``https://host[:port]``. ``verified`` is whether its certificate is checked."""

    base: str
    verified: bool = True

    def __str__(self) -> str:
        return self.base


def endpoints(domain: str, insecure: Collection[str]) -> tuple[Endpoint, ...]:
    """Loopback registries and ``insecure`` ones may have any certificate, or none and speak plain HTTP, as Docker has
    it; every other one speaks TLS and proves who it is."""
    host = _HUB.get(domain, domain)
    plain, encrypted = Endpoint(f"http://{host}"), Endpoint(f"https://{host}", verified=False)
    if _is_loopback(host) or domain in insecure or _hostname(host) in insecure:
        return encrypted, plain
    return (Endpoint(f"https://{host}"),)


def tls_context(endpoint: Endpoint, domain: str, ca_directory: Path | None) -> ssl.SSLContext:
    """The machine's authorities, plus those in ``ca_directory``/DOMAIN/*.crt (the layout of Docker's certs.d)."""
    if not endpoint.verified:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context = ssl.create_default_context()
    if ca_directory is not None:
        for certificate in sorted((ca_directory / domain).glob("*.crt")):
            context.load_verify_locations(certificate)
    return context


def _is_loopback(host: str) -> bool:
    name = _hostname(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
