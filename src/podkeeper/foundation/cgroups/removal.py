"""Removing the directories of emptied groups.

The kernel lets a group go a moment after its last process was seen to exit, and version 1 has no event for that
moment (version 2 would: cgroup.events). So a busy directory is tried again after pauses that double from 1 ms, for ten
seconds in all.
"""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from podkeeper.foundation.cgroups.files import groups_bottom_up, process_ids
from podkeeper.foundation.cgroups.tree import CgroupError

_FIRST_PAUSE, _PATIENCE = 0.001, 10.0


async def remove_tree(root: Path) -> None:
    """Removes ``root`` and all groups below it. CgroupError when one stays busy."""
    pause, spent = _FIRST_PAUSE, 0.0
    while (busy := remove_tree_nowait(root)) is not None:
        if spent > _PATIENCE:
            holders = sorted(process_ids(busy))
            raise CgroupError(f"cannot remove {busy}: it stays busy; processes in it: {holders or 'none'}")
        await asyncio.sleep(pause)
        spent, pause = spent + pause, min(pause * 2, 0.25)


def remove_tree_nowait(root: Path) -> Path | None:
    """Removes what can be removed at once; answers the first group that is still busy, None when all are gone."""
    for group in groups_bottom_up(root):
        try:
            group.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise CgroupError(f"cannot remove {group}: {error.strerror}") from error
            return group
    return None
