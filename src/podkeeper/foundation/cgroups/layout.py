"""Which hierarchies this machine has and where they are mounted, read from /proc/self/mountinfo (see proc(5))."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from msgspec import Struct, field

from podkeeper.foundation.cgroups.tree import CgroupError

_V1_OPTIONS_THAT_NAME_NOTHING = frozenset({"rw", "ro", "xattr", "clone_children", "cpuset_v2_mode", "noprefix"})


class CgroupMode(Enum):
    """LEGACY is version 1 alone, UNIFIED version 2 alone, HYBRID version 1 with a version 2 beside it."""

    LEGACY = "v1"
    HYBRID = "hybrid"
    UNIFIED = "v2"


class Layout(Struct, frozen=True):
    """``controllers`` are those of version 1 (a named hierarchy is ``name=systemd``) with their mount points."""

    mode: CgroupMode
    controllers: Mapping[str, Path] = field(default_factory=dict)
    unified: Path | None = None

    @property
    def hierarchies(self) -> tuple[Path, ...]:
        """Every mount point once; version 2's last."""
        found = dict.fromkeys(self.controllers.values())
        return (*found, *((self.unified,) if self.unified else ()))


def parse_layout(mountinfo: str) -> Layout:
    """The layout that a mountinfo file tells of; a later mount of the same hierarchy does not replace the first."""
    controllers: dict[str, Path] = {}
    unified: Path | None = None
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        point = Path(_unescape(mount.split(" ")[4]))
        if kind == "cgroup2":
            unified = unified or point
        elif kind == "cgroup":
            for name in set(options.split(",")) - _V1_OPTIONS_THAT_NAME_NOTHING:
                if not name.startswith("release_agent="):
                    controllers.setdefault(name, point)
    if not controllers and unified is None:
        raise CgroupError(
            "no cgroup file system is mounted: mount one on /sys/fs/cgroup (cgroup2, or the v1 controllers)"
        )
    if not controllers:
        return Layout(CgroupMode.UNIFIED, {}, unified)
    ordered = dict(sorted(controllers.items()))
    return Layout(CgroupMode.HYBRID if unified else CgroupMode.LEGACY, ordered, unified)


def detect(mountinfo: Path = Path("/proc/self/mountinfo")) -> Layout:
    """This machine's layout. CgroupError when nothing is mounted."""
    return parse_layout(mountinfo.read_text())


def missing_controllers(layout: Layout) -> list[str]:
    """Those of cpu, memory and pids that this kernel does not offer: limits on them do not hold."""
    present = set(layout.controllers)
    if layout.unified is not None:
        present |= set((layout.unified / "cgroup.controllers").read_text().split())
    return [controller for controller in ("cpu", "memory", "pids") if controller not in present]


def _unescape(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape") if "\\" in text else text
