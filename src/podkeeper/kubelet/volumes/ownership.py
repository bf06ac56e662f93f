"""fsGroup: who owns the files of a volume.

https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

READ_WRITE, READ_ONLY, EXECUTE = 0o660, 0o440, 0o110


def give_to_group(root: Path, group: int, *, readonly: bool = False) -> None:
    """Gives everything below ``root`` to ``group``, readable (and writable) by it; directories pass the group on."""
    for directory, _, files in os.walk(root):
        _give(Path(directory), group, readonly)
        for name in files:
            _give(Path(directory, name), group, readonly)


def _give(path: Path, group: int, readonly: bool) -> None:
    info = path.lstat()
    os.chown(path, -1, group, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        return
    mask = READ_ONLY if readonly else READ_WRITE
    if stat.S_ISDIR(info.st_mode):
        mask |= EXECUTE | stat.S_ISGID
    path.chmod(stat.S_IMODE(info.st_mode) | mask)


def owned_already(root: Path, group: int) -> bool:
    """Whether the top of a volume belongs to ``group`` as it should (fsGroupChangePolicy OnRootMismatch)."""
    info = root.stat()
    wanted = READ_WRITE | EXECUTE | stat.S_ISGID
    return info.st_gid == group and info.st_mode & wanted == wanted
