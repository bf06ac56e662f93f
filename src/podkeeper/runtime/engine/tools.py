"""What sandboxes and containers have in common: configuration, places, control groups, OCI runtimes, events."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from podkeeper.foundation.cgroups import CgroupMode, Cgroups, Layout
from podkeeper.runtime.cri import EventKind, RuntimeEvent, RuntimeFailure
from podkeeper.runtime.engine.config import EngineConfig
from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.events import EventHub
from podkeeper.runtime.engine.oci_runtime import OciRuntime


@dataclass(frozen=True, slots=True)
class Tools:
    """``runtime`` is for what is new; what was made by another one is handled by ``runtime_named``."""

    config: EngineConfig
    directories: Directories
    layout: Layout
    cgroups: Cgroups
    runtime: OciRuntime
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

    def runtime_named(self, handler: str) -> OciRuntime:
        """The OCI runtime that made an object."""
        if handler == self.runtime.name:
            return self.runtime
        path = shutil.which(handler)
        if path is None:
            raise RuntimeFailure(f"{handler} has made this container and is not installed any more: install it again")
        return OciRuntime(handler, path, self.directories.oci(handler))

    def announce(self, kind: EventKind, sandbox_id: str, pod_uid: str, container_id: str = "") -> None:
        """Tells every listener."""
        self.events.announce(RuntimeEvent(kind, sandbox_id, pod_uid, container_id))
