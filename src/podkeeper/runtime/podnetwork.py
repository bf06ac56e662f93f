"""The runtime's seam towards the network: what a sandbox needs from a pod network, CNI's add, check and delete.

The network room implements it (native bridge, CNI plugins), cluster hands an implementation to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field


class PodNetworkError(Exception):
    """An operation on a pod's network failed; the text says what was attempted, why it failed and what to do."""


class PortMapping(Struct, frozen=True):
    """One hostPort. ``protocol`` is TCP, UDP or SCTP; ``host_ip`` empty means every address of the node."""

    container_port: int
    host_port: int
    protocol: str = "TCP"
    host_ip: str = ""


class PodNetworkRequest(Struct, frozen=True):
    """Whose network it is. ``netns`` is a path (``/proc/PID/ns/net`` or a bind mount) that is valid during the call."""

    sandbox_id: str
    namespace: str
    name: str
    uid: str
    netns: str
    interface: str = "eth0"
    port_mappings: Sequence[PortMapping] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


class PodNetworkStatus(Struct, frozen=True):
    """What ``add`` set up. ``ips`` has the primary address first, without prefix length."""

    ips: tuple[str, ...]
    interface: str = "eth0"


class PodNetwork(Protocol):
    """Gives sandboxes addresses. Calls for different sandboxes may run concurrently; calls for one never do."""

    async def add(self, request: PodNetworkRequest) -> PodNetworkStatus:
        """Connects the sandbox: interface, addresses, routes, host ports, loopback up. All or nothing.

        Adding a sandbox that is connected already answers its present status. The allocation is on disk before
        this returns, so that it outlives the process.
        """
        ...

    async def check(self, request: PodNetworkRequest) -> PodNetworkStatus | None:
        """The status of a connected sandbox, or None when any part of it is missing."""
        ...

    async def delete(self, request: PodNetworkRequest) -> None:
        """Frees everything ``add`` made. Succeeds when nothing is there, also when the namespace is gone already."""
        ...
