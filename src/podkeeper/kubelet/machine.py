"""Facts about the machine that a Node object tells: read from /proc, /sys and /etc."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from msgspec import Struct, field

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
HUGEPAGES = Path("/sys/kernel/mm/hugepages")


class Machine(Struct, frozen=True):
    """What does not change while the kubelet runs. Memory and hugepages in bytes; hugepages by size in kB."""

    cpus: int
    memory: int
    swap: int = 0
    hugepages: dict[int, int] = field(default_factory=dict)
    architecture: str = "amd64"
    kernel: str = ""
    os_image: str = ""
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""


class DiskSpace(Struct, frozen=True):
    """A file system's size and what is free for us, bytes and inodes."""

    capacity: int
    available: int
    inodes: int
    inodes_free: int


def read_machine() -> Machine:
    """This machine; what cannot be read is left empty."""
    memory = meminfo()
    machine_id = _text("/etc/machine-id") or _text("/var/lib/dbus/machine-id")
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0),
        swap=memory.get("SwapTotal", 0),
        hugepages=_hugepages(),
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=machine_id,
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
    )


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            found[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return found


def disk_space(path: Path) -> DiskSpace:
    """The file system that holds ``path``."""
    info = os.statvfs(path)
    return DiskSpace(info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize, info.f_files, info.f_favail)


def _hugepages() -> dict[int, int]:
    """Bytes reserved per page size; not offered unless somebody reserved some."""
    found: dict[int, int] = {}
    for directory in sorted(HUGEPAGES.glob("hugepages-*kB")):
        size, count = int(directory.name[10:-2]), _text(directory / "nr_hugepages")
        if count.isdecimal():
            found[size] = int(count) * size * 1024
    return found


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return platform.system()


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
