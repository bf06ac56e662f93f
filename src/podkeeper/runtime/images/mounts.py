"""mount(2), umount2(2) and the mount table, called directly: no mount program, no process.

System calls release the interpreter lock, but may wait for a disk: callers on an event loop use a thread.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2
CLONE_FS = 0x200
CLONE_NEWNS = 0x20000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line of /proc/self/mountinfo. ``options`` are the super block's."""

    path: Path
    filesystem: str
    source: str
    options: str


def mount(source: str, target: str, filesystem: str = "", flags: int = 0, options: str = "") -> None:
    """Mounts; relative paths count from the calling thread's directory. Raises OSError that names the target."""
    done = _libc.mount(source.encode(), target.encode(), filesystem.encode() or None, flags, options.encode() or None)
    if done != 0:
        _raise("mount", target)


def unmount(target: str, flags: int = 0) -> None:
    """Unmounts the topmost mount at ``target``. Raises OSError (EINVAL when nothing is mounted there)."""
    if _libc.umount2(target.encode(), flags) != 0:
        _raise("umount", target)


def unshare(flags: int) -> None:
    """Gives the calling thread its own directory (CLONE_FS) or mount table (CLONE_NEWNS)."""
    if _libc.unshare(flags) != 0:
        _raise("unshare", hex(flags))


def sync_filesystem(path: Path) -> None:
    """Waits until everything of the file system that holds ``path`` is on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(handle) != 0:
            _raise("syncfs", str(path))
    finally:
        os.close(handle)


def mounts_below(root: Path) -> list[MountPoint]:
    """What is mounted at or below ``root`` in this mount namespace, in the order in which it was mounted."""
    prefix = f"{root}/"
    return [point for point in _mount_table() if point.path == root or str(point.path).startswith(prefix)]


def unmount_below(root: Path) -> None:
    """Unmounts everything at or below ``root``, latest first; what is busy is detached."""
    for point in reversed(mounts_below(root)):
        unmount(str(point.path), MNT_DETACH)


def _mount_table() -> Iterator[MountPoint]:
    text = Path("/proc/self/mountinfo").read_bytes().decode(errors="surrogateescape")
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        filesystem, source, *options = after.split(" ")
        yield MountPoint(Path(_unescape(before.split(" ")[4])), filesystem, _unescape(source), "".join(options))


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text) if "\\" in text else text


def _raise(call: str, target: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}", target)
