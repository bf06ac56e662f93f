"""The pod network's nftables rules as text: masquerade towards the outside, and hostPorts as verdict maps.

One table of our own; hostPorts are elements of maps, so a pod's coming and going costs what it changes.

    prerouting, output --> daddr is local? --> map (address . port) or (port) --> dnat to pod
    postrouting --> from a pod to elsewhere, from loopback, or from a pod to itself --> masquerade
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from podkeeper.runtime.podnetwork import PortMapping

TABLE = "podkeeper-pods"
PROTOCOLS = ("tcp", "udp", "sctp")


def table_script(pods: IPv4Network, bridge: str, mappings: Iterable[tuple[str, PortMapping]]) -> str:
    """The whole table, replacing whatever was there; ``mappings`` pairs a pod address with its hostPorts."""
    maps = [_map_lines(protocol) for protocol in PROTOCOLS]
    elements = [add_script(address, [mapping]) for address, mapping in mappings]
    return "\n".join(
        [
            f"add table ip {TABLE}",
            f"delete table ip {TABLE}",
            f"table ip {TABLE} {{",
            *maps,
            "  chain hostports {",
            *(f"    {line}" for protocol in PROTOCOLS for line in _dnat_lines(protocol)),
            "  }",
            "  chain prerouting {",
            "    type nat hook prerouting priority dstnat; policy accept;",
            "    fib daddr type local jump hostports",
            "  }",
            "  chain output {",
            "    type nat hook output priority -100; policy accept;",
            "    fib daddr type local jump hostports",
            "  }",
            "  chain postrouting {",
            "    type nat hook postrouting priority srcnat; policy accept;",
            f'    oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade',
            f'    oifname "{bridge}" ip saddr {pods} ct status dnat masquerade',
            f'    ip saddr {pods} oifname != "{bridge}" ip daddr != 224.0.0.0/4 masquerade',
            "  }",
            "}",
            *elements,
        ]
    )


def add_script(address: str, mappings: Sequence[PortMapping]) -> str:
    """Adds a pod's hostPorts."""
    return "\n".join(f"add element ip {TABLE} {_element(address, mapping)}" for mapping in mappings)


def remove_script(address: str, mappings: Sequence[PortMapping]) -> str:
    """Removes a pod's hostPorts; they must be there."""
    return "\n".join(f"delete element ip {TABLE} {_element(address, mapping)}" for mapping in mappings)


def remove_table_script() -> str:
    """Removes everything of ours, whether it is there or not."""
    return f"add table ip {TABLE}\ndelete table ip {TABLE}"


def _map_lines(protocol: str) -> str:
    return (
        f"  map any-{protocol} {{ type inet_service : ipv4_addr . inet_service; }}\n"
        f"  map one-{protocol} {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }}"
    )


def _dnat_lines(protocol: str) -> tuple[str, str]:
    key = f"{protocol} dport"
    return (
        f"meta l4proto {protocol} dnat ip to ip daddr . {key} map @one-{protocol}",
        f"meta l4proto {protocol} dnat ip to {key} map @any-{protocol}",
    )


def key(mapping: PortMapping) -> tuple[str, str]:
    """The map and the element in it that a hostPort is; two pods cannot have the same."""
    protocol = mapping.protocol.lower()
    if protocol not in PROTOCOLS:
        raise ValueError(f"hostPort {mapping.host_port}: protocol {mapping.protocol} is not TCP, UDP or SCTP")
    if mapping.host_ip and mapping.host_ip != "0.0.0.0":  # noqa: S104 - the wildcard of the API, nothing is bound
        return f"one-{protocol}", f"{mapping.host_ip} . {mapping.host_port}"
    return f"any-{protocol}", str(mapping.host_port)


def _element(address: str, mapping: PortMapping) -> str:
    table, element = key(mapping)
    return f"{table} {{ {element} : {address} . {mapping.container_port} }}"
