"""Cluster IPs. The network and broadcast addresses are never given; a band at the start is left to static choices.

Source: https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import chain
from random import Random, SystemRandom

_MOST_OFFSETS = 1 << 16


class AddressError(ValueError):
    """An address cannot be had; the message is upstream's."""


class AddressPool:
    """Addresses of one network that are taken."""

    def __init__(self, cidr: str, random: Random | None = None) -> None:
        self._network = ip_network(cidr)
        self._first = int(self._network.network_address)
        last = self._network.num_addresses - (2 if self._network.version == 4 else 1)
        self._last = max(min(last, _MOST_OFFSETS), 0)
        # As upstream: the static band is a sixteenth of the range, at least 16 and at most 256.
        self._static = min(max(self._last // 16, 16), 256) if self._last > 16 else 0
        self._taken: set[int] = set()
        self._random = random or SystemRandom()

    def __repr__(self) -> str:
        return f"<AddressPool {self._network}: {len(self._taken)} taken>"

    @property
    def version(self) -> int:
        """4 or 6."""
        return self._network.version

    def contains(self, text: str) -> bool:
        """Whether an address is one of the network."""
        address = _parse(text)
        return address is not None and address.version == self.version and address in self._network

    def take(self, text: str) -> None:
        """Claims one address. Raises AddressError when it is taken or not of this network."""
        address = _parse(text)
        if address is None or address.version != self.version or address not in self._network:
            raise AddressError(
                f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {self._network}"
            )
        offset = int(address) - self._first
        if offset in self._taken:
            raise AddressError("provided IP is already allocated")
        self._taken.add(offset)

    def take_any(self) -> str:
        """Claims a free address, outside the static band as long as there is one. Raises AddressError when full."""
        for low, high in ((self._static + 1, self._last), (1, self._static)):
            offset = self._free(low, high)
            if offset is not None:
                self._taken.add(offset)
                return str(ip_address(self._first + offset))
        raise AddressError("range is full")

    def give_back(self, text: str) -> None:
        """Frees an address; one that was not taken does not matter."""
        address = _parse(text)
        if address is not None:
            self._taken.discard(int(address) - self._first)

    def _free(self, low: int, high: int) -> int | None:
        if high < low:
            return None
        start = self._random.randint(low, high)
        for offset in chain(range(start, high + 1), range(low, start)):
            if offset not in self._taken:
                return offset
        return None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
