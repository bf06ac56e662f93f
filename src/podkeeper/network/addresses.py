"""Address allocation for one node's pod range: round robin, one small file per address, so that it outlives us.

A file is named after its address and holds the sandbox id. The network's first host address is the gateway's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path


class RangeExhausted(Exception):
    """Every address of the pod range is taken."""


class AddressPool:
    """The addresses of ``network`` that sandboxes hold. Not safe for two processes on one directory."""

    def __init__(self, network: IPv4Network, directory: Path) -> None:
        if network.num_addresses < 4:
            raise ValueError(f"pod range {network} is too small: it needs a gateway and at least one pod address")
        self.network, self._directory = network, directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._holders = dict(self._load())
        self._last = int(self.gateway.ip)

    @property
    def gateway(self) -> IPv4Interface:
        """The node's own address on the bridge, with the range's prefix length."""
        return IPv4Interface((int(self.network.network_address) + 1, self.network.prefixlen))

    def holders(self) -> Mapping[IPv4Address, str]:
        """Address to sandbox id."""
        return dict(self._holders)

    def address_of(self, sandbox_id: str) -> IPv4Address | None:
        """The address that a sandbox holds."""
        return next((address for address, holder in self._holders.items() if holder == sandbox_id), None)

    def allocate(self, sandbox_id: str) -> IPv4Address:
        """The sandbox's address, a new one unless it holds one. Raises RangeExhausted."""
        held = self.address_of(sandbox_id)
        if held is not None:
            return held
        address = self._next_free()
        descriptor = os.open(self._directory / str(address), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(sandbox_id)
        self._holders[address] = sandbox_id
        self._last = int(address)
        return address

    def free(self, sandbox_id: str) -> None:
        """Gives the sandbox's address back; nothing happens when it holds none."""
        held = self.address_of(sandbox_id)
        if held is not None:
            (self._directory / str(held)).unlink(missing_ok=True)
            del self._holders[held]

    def _next_free(self) -> IPv4Address:
        first, last = int(self.gateway.ip) + 1, int(self.network.broadcast_address) - 1
        start = self._last + 1
        for candidate in (*range(max(start, first), last + 1), *range(first, min(start, last + 1))):
            address = IPv4Address(candidate)
            if address not in self._holders:
                return address
        raise RangeExhausted(f"no free address in pod range {self.network}: {len(self._holders)} are in use")

    def _load(self) -> Iterator[tuple[IPv4Address, str]]:
        for file in self._directory.iterdir():
            try:
                address = IPv4Address(file.name)
            except ValueError:
                continue
            holder = file.read_text()
            if holder and address in self.network:
                yield address, holder
            else:  # the process died between creating and filling it, or the range has changed
                file.unlink()
