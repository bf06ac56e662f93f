"""Where a registry is reached: base addresses to try in order, and what each one's TLS must prove.

What is particular of a registry stands in a directory of its name, in the layout of Docker's certs.d:

    HOSTS/registry.example.org:5000/*.crt               authorities to believe beside the machine's own
    HOSTS/registry.example.org:5000/NAME.cert, .key     who we are
    HOSTS/registry.example.org:5000/insecure            plain HTTP, or any certificate
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

_HUB = {"docker.io": "registry-1.docker.io"}


class Endpoint(Struct, frozen=True):
    """``base`` is ``https://host[:port]``. ``verified`` is whether its certificate is checked."""

    base: str
    verified: bool = True

    def __str__(self) -> str:
        return self.base


def endpoints(domain: str, *, insecure: bool) -> tuple[Endpoint, ...]:
    """An insecure registry may have any certificate, or none and speak plain HTTP, as Docker has it; every other one
    speaks TLS and proves who it is."""
    host = _HUB.get(domain, domain)
    if insecure:
        return Endpoint(f"https://{host}", verified=False), Endpoint(f"http://{host}")
    return (Endpoint(f"https://{host}"),)


def is_insecure(domain: str, named: Collection[str], hosts: Path | None) -> bool:
    """Whether a registry is on this machine, or ``named`` (``host[:port]``), or marked so in its directory."""
    if is_loopback(domain) or domain in named or _hostname(domain) in named:
        return True
    return hosts is not None and (hosts / domain / "insecure").exists()


def tls_context(endpoint: Endpoint, domain: str, hosts: Path | None) -> ssl.SSLContext:
    """The machine's authorities, plus what is in the registry's directory. Raises OSError (ssl.SSLError too)."""
    if not endpoint.verified:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context = ssl.create_default_context()
    if hosts is not None:
        for authority in sorted((hosts / domain).glob("*.crt")):
            context.load_verify_locations(authority)
        for certificate in sorted((hosts / domain).glob("*.cert")):
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine."""
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
