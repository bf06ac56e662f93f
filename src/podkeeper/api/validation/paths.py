"""File names and paths inside volumes, ports, addresses: values that several parts of a pod hold."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from podkeeper.api import names
from podkeeper.api.validation.fields import Found

PROTOCOLS = ("SCTP", "TCP", "UDP")
ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_LINK_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def no_backsteps(found: Found, at: str, path: str) -> None:
    """A path that never steps up."""
    if ".." in path and ".." in path.split("/"):
        found.invalid(at, path, "must not contain '..'")


def descending(found: Found, at: str, path: str) -> None:
    """A relative path that never steps up."""
    if path.startswith("/"):
        found.invalid(at, path, "must be a relative path")
    no_backsteps(found, at, path)


def projected(found: Found, at: str, path: str) -> None:
    """A file's path in a volume whose top level keeps names with ``..`` for itself."""
    if not path:
        found.required(at)
        return
    descending(found, at, path)
    if path.startswith("..") and not path.startswith("../") and path != "..":
        found.invalid(at, path, "must not start with '..'")


def file_mode(found: Found, at: str, mode: int | None) -> None:
    """Permission bits."""
    if mode is not None and not 0 <= mode <= 0o777:
        found.invalid(at, mode, _MODE)


def port_number(found: Found, at: str, port: int) -> None:
    """A port from 1 to 65535."""
    if not 1 <= port <= 65535:
        found.invalid(at, port, names.range_message(1, 65535))


def port(found: Found, at: str, value: int | str) -> None:
    """A port's number or name."""
    if isinstance(value, int):
        port_number(found, at, value)
    else:
        found.check(at, value, names.port_name)


@lru_cache(maxsize=1024)
def is_address(value: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address without a zone."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def address(found: Found, at: str, value: str) -> None:
    """An IP address."""
    if not is_address(value):
        found.invalid(at, value, ADDRESS)


def outside_address(found: Found, at: str, value: str) -> None:
    """An address that traffic can be sent to from elsewhere: not the node's own, not of its link."""
    if not is_address(value):
        found.invalid(at, value, ADDRESS)
        return
    parsed = ipaddress.ip_address(value)
    if parsed.is_unspecified:
        found.invalid(at, value, f"may not be unspecified ({value})")
    if parsed.is_loopback:
        found.invalid(at, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if parsed.is_link_local:
        found.invalid(at, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(parsed in each for each in _LINK_MULTICAST if each.version == parsed.version):
        found.invalid(at, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def prefixed_path(found: Found, at: str, value: str) -> None:
    """A name of somebody's own: a domain, a slash, and what may stand in an HTTP path."""
    if not value:
        found.required(at)
        return
    domain, _, path = value.partition("/")
    if not domain or not path:
        found.invalid(at, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    found.check(at, domain, names.dns_subdomain)
    if not re.fullmatch(_HTTP_PATH, path):
        found.invalid(at, path, names.pattern_message("Invalid path", _HTTP_PATH))


def canonical_network(found: Found, at: str, value: str) -> None:
    """A range of addresses written in the one way that newer fields take."""
    before = len(found)
    network(found, at, value)
    if len(found) > before:
        return
    interface = ipaddress.ip_interface(value)
    if interface.ip != interface.network.network_address:
        found.invalid(at, value, "must not have bits set beyond the prefix length")
    elif str(interface.network) != value:
        found.invalid(at, value, f'must be in canonical form ("{interface.network}")')


def network(found: Found, at: str, value: str) -> None:
    """A range of addresses in CIDR notation."""
    try:
        ipaddress.ip_interface(value)
        good = "/" in value
    except ValueError:
        good = False
    if not good:
        found.invalid(at, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
