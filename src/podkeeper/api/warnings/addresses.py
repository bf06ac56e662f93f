"""Addresses and networks that are written in another way than they should be.

Source: apimachinery, pkg/util/validation (GetWarningsForIP, GetWarningsForCIDR); RFC 5952.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

_LATER = "will be considered invalid in a future Kubernetes release"


def of_address(at: str, value: str) -> Iterator[str]:
    """About an address; nothing about what is none, which validation refuses."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield f'{at}: non-standard IP address "{value}" {_LATER}: use "{address.ipv4_mapped}"'
    elif str(address) != value:
        yield f'{at}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")'


def of_network(at: str, value: str) -> Iterator[str]:
    """About an address with a prefix length, as ``10.0.0.0/8``."""
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        return
    address, network = interface.ip, interface.network
    said = False
    if address != network.network_address:
        single = f"{address}/{address.max_prefixlen}"
        yield f'{at}: CIDR value "{value}" is ambiguous in this context (should be "{network}" or "{single}"?)'
        said = True
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None:
        standard = ipaddress.ip_network(f"{mapped}/{max(network.prefixlen - 96, 0)}", strict=False)
        yield f'{at}: non-standard CIDR value "{value}" {_LATER}: use "{standard}"'
    elif not said and address.version == 6 and str(network) != value:
        yield f'{at}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'
