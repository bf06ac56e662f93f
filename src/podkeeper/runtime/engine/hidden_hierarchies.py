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

from podkeeper.foundation.cgroups import CgroupMode, Layout
from podkeeper.runtime.images import mounts

# Any hierarchy mounted with this option (Linux 6.0) makes moving processes between groups quick on the whole machine:
# the first move after a while waits 10 to 20 ms without it, at each start of a container.
_QUICK = "favordynmods"
_ATTEMPTS, _PAUSE = 100, 0.02


def stray_controllers(layout: Layout) -> list[str]:
    """Controllers that version 2 has on a hybrid machine."""
    if layout.mode is not CgroupMode.HYBRID or layout.unified is None:
        return []
    return (layout.unified / "cgroup.controllers").read_text().split()


def hide(controller: str, group: str, scratch: Path) -> None:
    """Makes ``group`` in the controller's version 1 hierarchy. OSError when version 2 uses the controller."""
    with _mounted(controller, scratch) as root:
        (root / group.lstrip("/")).mkdir(parents=True, exist_ok=True)


async def release(controller: str, group: str, scratch: Path) -> None:
    """Removes ``group`` from the controller's hierarchy; the last one to go frees the controller.

    A hierarchy that is unmounted while the kernel still takes its last group apart stays; there is no event for the end
    of that, so it is mounted and unmounted again after short pauses until it is gone.
    """
    for _ in range(_ATTEMPTS):
        with _mounted(controller, scratch) as root:
            with contextlib.suppress(FileNotFoundError):
                (root / group.lstrip("/")).rmdir()
            if any(entry.is_dir() for entry in root.iterdir()):
                return
        await asyncio.sleep(_PAUSE)
        if not _is_version_1(controller):
            return


def _is_version_1(controller: str) -> bool:
    rows = (line.split() for line in Path("/proc/cgroups").read_text().splitlines())
    return any(row[0] == controller and row[1] != "0" for row in rows)


@contextlib.contextmanager
def _mounted(controller: str, scratch: Path) -> Iterator[Path]:
    scratch.mkdir(exist_ok=True)
    flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    try:
        mounts.mount("cgroup", str(scratch), "cgroup", flags, f"{controller},{_QUICK}")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mounts.mount("cgroup", str(scratch), "cgroup", flags, controller)
    try:
        yield scratch
    finally:
        mounts.unmount(str(scratch), mounts.MNT_DETACH)
        scratch.rmdir()
