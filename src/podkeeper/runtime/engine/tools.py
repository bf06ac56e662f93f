"""What sandboxes and containers have in common: configuration, places, control groups, OCI runtimes, events."""

from __future__ import annotations

from msgspec import Struct, field

from podkeeper.foundation.cgroups import CgroupMode, Cgroups, Layout
from podkeeper.runtime.cri import EventKind, RuntimeEvent
from podkeeper.runtime.engine.config import EngineConfig
from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.events import EventHub
from podkeeper.runtime.engine.oci_runtimes import OciRuntimes


class Tools(Struct, frozen=True):
    """Handed to whatever makes or ends containers."""

    config: EngineConfig
    directories: Directories
    layout: Layout
    cgroups: Cgroups
    runtimes: OciRuntimes
    events: EventHub = field(default_factory=EventHub)

    @property
    def version_2(self) -> bool:
        """Whether there is nothing but cgroup version 2: containers get a view of their own of it then."""
        return self.layout.mode is CgroupMode.UNIFIED

    def has_controller(self, name: str) -> bool:
        """Whether groups have this controller; a hidden one they have not."""
        return self.version_2 or name in self.layout.controllers

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return int(self.config.clock.time() * 1e9)

    def announce(self, kind: EventKind, sandbox_id: str, pod_uid: str, container_id: str = "") -> None:
        """Tells every listener."""
        self.events.announce(RuntimeEvent(kind, sandbox_id, pod_uid, container_id))
