"""What a container sees mounted: the kernel's file systems, the sandbox's files, then the volumes, parents first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.runtime.cri import Mount, MountPropagation

MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SHM = "/dev/shm"  # noqa: S108 - a path inside the container
_PROPAGATION = {
    MountPropagation.PRIVATE: "rprivate",
    MountPropagation.HOST_TO_CONTAINER: "rslave",
    MountPropagation.BIDIRECTIONAL: "rshared",
}


class SandboxFiles(Struct, frozen=True):
    """What the containers of a sandbox share; ``shm`` is a directory, the others are files."""

    shm: Path
    resolv_conf: Path
    hostname: Path


def section(files: SandboxFiles, volumes: Sequence[Mount], *, privileged: bool, readonly_rootfs: bool) -> list[Any]:
    """``mounts``. A volume takes the place of one of ours at the same path."""
    taken = {os.path.normpath(volume.container_path) for volume in volumes}
    ours = [*_kernel(privileged), *_shared(files, readonly=readonly_rootfs)]
    found = [mount for mount in ours if mount["destination"] not in taken]
    # A stable sort by depth: what is mounted below another volume comes after it, all else stays in the given order.
    return found + [volume_mount(each) for each in sorted(volumes, key=_depth)]


def _depth(volume: Mount) -> int:
    return len(Path(os.path.normpath(volume.container_path)).parts)


def _kernel(privileged: bool) -> list[dict[str, Any]]:
    write = "rw" if privileged else "ro"
    safe = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", "proc", safe),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _mount("/dev/mqueue", "mqueue", "mqueue", safe),
        _mount("/sys", "sysfs", "sysfs", [*safe, write]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*safe, "relatime", write]),
    ]


def _shared(files: SandboxFiles, *, readonly: bool) -> list[dict[str, Any]]:
    write = "ro" if readonly else "rw"
    return [
        _mount(_SHM, "bind", str(files.shm), ["rbind", "rw", "nosuid", "nodev", "noexec"]),
        _mount("/etc/resolv.conf", "bind", str(files.resolv_conf), ["rbind", "rprivate", write]),
        _mount("/etc/hostname", "bind", str(files.hostname), ["rbind", "rprivate", write]),
    ]


def volume_mount(volume: Mount) -> dict[str, Any]:
    """One bind mount."""
    options = ["rbind", _PROPAGATION[volume.propagation], "ro" if volume.readonly else "rw"]
    if volume.recursive_readonly:
        options.append("rro")
    return _mount(volume.container_path, "bind", volume.host_path, options)


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def root_propagation(volumes: Sequence[Mount]) -> str:
    """``linux.rootfsPropagation``: as open as the most open volume needs."""
    widest = max((volume.propagation.value for volume in volumes), default=0)
    return _PROPAGATION[MountPropagation(widest)]
