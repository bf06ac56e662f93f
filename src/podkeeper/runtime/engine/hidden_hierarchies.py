"""Taking controllers away from version 2 on hybrid machines, without leaving a mount behind.

crun refuses to work while version 2 has any controller beside version 1. Mounting that controller as version 1 helps,
and it stays version 1 as long as a group exists in its hierarchy, mounted or not. So each engine keeps one empty group
of its own name there: several engines do not disturb each other, and when the last one is reset the controller goes
back to where it was.

    version 2 --mount, mkdir GROUP, unmount--> version 1, hidden --mount, rmdir GROUP, unmount--> version 2
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from podkeeper.foundation import mounts
from podkeeper.foundation.cgroups import CgroupError, CgroupMode, Layout

# Any hierarchy mounted with this option (Linux 6.0) makes moving processes between groups quick on the whole machine:
# the first move after a while waits 10 to 20 ms without it, at each start of a container.
_QUICK = "favordynmods"
_ATTEMPTS, _LOOKS, _PAUSE = 20, 25, 0.02


def stray_controllers(layout: Layout, cgroups_file: Path = Path("/proc/cgroups")) -> list[str]:
    """Controllers that version 2 has on a hybrid machine, and those that somebody has hidden from it already."""
    if layout.mode is not CgroupMode.HYBRID or layout.unified is None:
        return []
    return sorted({*exposed_controllers(layout), *_version_1(cgroups_file)} - set(layout.controllers))


def exposed_controllers(layout: Layout) -> list[str]:
    """Controllers that version 2 has at this moment on a hybrid machine: crun refuses while there is one."""
    if layout.mode is not CgroupMode.HYBRID or layout.unified is None:
        return []
    return (layout.unified / "cgroup.controllers").read_text().split()


def hide(controller: str, group: str, scratch: Path) -> None:
    """Makes ``group`` in the controller's version 1 hierarchy. OSError when version 2 uses the controller."""
    with _mounted(controller, scratch) as root:
        (root / group.lstrip("/")).mkdir(parents=True, exist_ok=True)


async def release(controller: str, group: str, scratch: Path) -> None:
    """Removes ``group`` from the controller's hierarchy; the last one to go frees the controller.

    A hierarchy that is unmounted while the kernel still takes its last group apart stays for good, and there is no
    event for the end of that: such a one is mounted and unmounted once more. CgroupError when it stays even so.
    """
    for _ in range(_ATTEMPTS):
        if not _is_version_1(controller):
            return
        with _mounted(controller, scratch) as root:
            with contextlib.suppress(FileNotFoundError):
                (root / group.lstrip("/")).rmdir()
            if any(entry.is_dir() for entry in root.iterdir()):
                return
        for _ in range(_LOOKS):
            if not _is_version_1(controller):
                return
            await asyncio.sleep(_PAUSE)
    raise CgroupError(f"cannot give the controller {controller} back to version 2: its hierarchy stays")


def _is_version_1(controller: str) -> bool:
    return controller in _version_1(Path("/proc/cgroups"))


def _version_1(cgroups_file: Path) -> set[str]:
    rows = (line.split() for line in cgroups_file.read_text().splitlines() if not line.startswith("#"))
    return {name for name, hierarchy, *_ in rows if hierarchy != "0"}


@contextlib.contextmanager
def _mounted(controller: str, scratch: Path) -> Iterator[Path]:
    scratch.mkdir(exist_ok=True)
    flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    try:
        mounts.mount("cgroup", scratch, "cgroup", flags, f"{controller},{_QUICK}")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mounts.mount("cgroup", scratch, "cgroup", flags, controller)
    try:
        yield scratch
    finally:
        mounts.unmount(scratch)
        scratch.rmdir()
