"""Host ports: the ports of its node that a pod takes, and which of them two pods cannot both have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from podkeeper.api.pods.requests import is_sidecar

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  nothing is bound here


class HostPort(NamedTuple):
    """A port on the node; ``ip`` is ``0.0.0.0`` for all its addresses."""

    ip: str
    protocol: str
    port: int

    def conflicts(self, other: HostPort) -> bool:
        """Whether both cannot be taken on one node."""
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        return self.ip == other.ip or self.ip in _EVERY_ADDRESS or other.ip in _EVERY_ADDRESS


def host_ports(spec: v1.PodSpec) -> tuple[HostPort, ...]:
    """The host ports that the app containers and sidecars take while the pod runs."""
    running = (*spec.containers, *(each for each in spec.init_containers if is_sidecar(each)))
    return tuple(
        HostPort(port.host_ip or "0.0.0.0", port.protocol or "TCP", port.host_port)  # noqa: S104
        for container in running
        for port in container.ports
        if port.host_port
    )


def conflicting(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> HostPort | None:
    """The first wanted port that is taken, or None."""
    held = list(taken)
    return next((port for port in wanted if any(port.conflicts(other) for other in held)), None)
