"""IP addresses and CIDRs. Addresses with zones and IPv4 written as IPv6 are refused, as upstream does."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar

from podkeeper.api.cel import types
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import EvaluationError

network = Library("net", since=(1, 30))

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class IP:
    """An address."""

    address: _Address
    cel_type: ClassVar[Type] = types.opaque("net.IP")

    def cost_size(self) -> int:
        return self.address.max_prefixlen // 8


@dataclass(frozen=True, slots=True)
class CIDR:
    """An address with the length of a network's prefix."""

    address: _Address
    prefix: int
    cel_type: ClassVar[Type] = types.opaque("net.CIDR")

    def cost_size(self) -> int:
        return -(-self.prefix // 8)

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network((self.address, self.prefix), strict=False)

    def covers(self, address: _Address, prefix: int) -> bool:
        """Whether a network is part of this one."""
        return prefix >= self.prefix and self.address.version == address.version and address in self.network


def _address(text: str) -> _Address:
    """Raises ValueError with the words of Go's netip and upstream's own."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f'ParseAddr("{text}"): {_unparsed(text)}') from error
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError(f'IP address "{text}" with zone value is not allowed')
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise ValueError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address


def _unparsed(text: str) -> str:
    """What Go says about the number of fields of an IPv4 address, and about anything else."""
    fields = text.split(".")
    if ":" in text or len(fields) in (1, 4) or not all(each.isdigit() for each in fields):
        return "unable to parse IP"
    return f"IPv4 address too {'long' if len(fields) > 4 else 'short'}"


def _parse_ip(text: str) -> IP:
    try:
        return IP(_address(text))
    except ValueError as error:
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string: {error}') from error


def _parse_cidr(text: str) -> CIDR:
    address, slash, prefix = text.rpartition("/")
    try:
        if not slash:
            raise ValueError("no '/'")
        parsed = _address(address)
        if not prefix.isascii() or not prefix.isdigit() or (len(prefix) > 1 and prefix.startswith("0")):
            raise ValueError(f'bad bits after slash: "{prefix}"')
        if len(prefix) > 3 or int(prefix) > parsed.max_prefixlen:
            raise ValueError("prefix length out of range")
        return CIDR(parsed, int(prefix))
    except ValueError as error:
        what = "network address parse error during conversion from string: "
        raise EvaluationError(f'{what}{what}netip.ParsePrefix("{text}"): {error}') from error


@network.function("ip(string) -> net.IP")
def ip(text: str) -> IP:
    return _parse_ip(text)


@network.function("isIP(string) -> bool")
def is_ip(text: str) -> bool:
    try:
        return bool(_parse_ip(text))
    except EvaluationError:
        return False


@network.function("ip.isCanonical(string) -> bool")
def is_canonical(text: str) -> bool:
    return str(_parse_ip(text).address) == text


@network.function("string(net.IP) -> string")
def string_of_ip(value: IP) -> str:
    return str(value.address)


@network.method("family(net.IP) -> int")
def family(value: IP) -> int:
    return value.address.version


@network.method("isUnspecified(net.IP) -> bool")
def is_unspecified(value: IP) -> bool:
    return value.address.is_unspecified


@network.method("isLoopback(net.IP) -> bool")
def is_loopback(value: IP) -> bool:
    return value.address.is_loopback


@network.method("isLinkLocalMulticast(net.IP) -> bool")
def is_link_local_multicast(value: IP) -> bool:
    """224.0.0.0/24, or multicast of link-local scope."""
    packed = value.address.packed
    return packed[:3] == b"\xe0\x00\x00" if value.address.version == 4 else packed[0] == 0xFF and packed[1] & 0xF == 2


@network.method("isLinkLocalUnicast(net.IP) -> bool")
def is_link_local_unicast(value: IP) -> bool:
    return value.address.is_link_local


@network.method("isGlobalUnicast(net.IP) -> bool")
def is_global_unicast(value: IP) -> bool:
    """Go's meaning: private addresses count; broadcast, multicast, loopback and link-local ones don't."""
    address = value.address
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address.packed == b"\xff" * 4
    )


@network.function("cidr(string) -> net.CIDR")
def cidr(text: str) -> CIDR:
    return _parse_cidr(text)


@network.function("isCIDR(string) -> bool")
def is_cidr(text: str) -> bool:
    try:
        return bool(_parse_cidr(text))
    except EvaluationError:
        return False


@network.function("string(net.CIDR) -> string")
def string_of_cidr(value: CIDR) -> str:
    return f"{value.address}/{value.prefix}"


@network.method("containsIP(net.CIDR, net.IP) -> bool")
def contains_ip(value: CIDR, other: IP) -> bool:
    return value.covers(other.address, other.address.max_prefixlen)


@network.method("containsIP(net.CIDR, string) -> bool")
def contains_ip_text(value: CIDR, text: str) -> bool:
    return contains_ip(value, _parse_ip(text))


@network.method("containsCIDR(net.CIDR, net.CIDR) -> bool")
def contains_cidr(value: CIDR, other: CIDR) -> bool:
    return value.covers(other.address, other.prefix)


@network.method("containsCIDR(net.CIDR, string) -> bool")
def contains_cidr_text(value: CIDR, text: str) -> bool:
    return contains_cidr(value, _parse_cidr(text))


@network.method("ip(net.CIDR) -> net.IP")
def ip_of_cidr(value: CIDR) -> IP:
    return IP(value.address)


@network.method("masked(net.CIDR) -> net.CIDR")
def masked(value: CIDR) -> CIDR:
    return CIDR(value.network.network_address, value.prefix)


@network.method("prefixLength(net.CIDR) -> int")
def prefix_length(value: CIDR) -> int:
    return value.prefix
