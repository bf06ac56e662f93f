"""Mounts by system call: no mount program, no process. Also what is mounted where, and removing trees safely.

Everything here raises OSError with the path in it.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podkeeper.foundation import syscalls, trees

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000

_MNT_DETACH, _UMOUNT_NOFOLLOW = 0x2, 0x8


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line of /proc/self/mountinfo. ``options`` are the super block's."""

    path: Path
    filesystem: str
    source: str
    options: str


def mount(source: str, target: str | Path, filesystem: str = "", flags: int = 0, options: str = "") -> None:
    """Mounts; a relative target counts from the calling thread's directory."""
    texts = (source, os.fspath(target), filesystem, options)
    source_, target_, filesystem_, options_ = (os.fsencode(text) for text in texts)
    syscalls.call(
        "mount", source_, target_, filesystem_ or None, ctypes.c_ulong(flags), options_ or None, about=str(target)
    )


def mount_tmpfs(target: Path, size: int | None = None, mode: str = "0777") -> None:
    """Mounts an empty tmpfs of at most ``size`` bytes."""
    mount("tmpfs", target, "tmpfs", options=f"mode={mode}" + (f",size={size}" if size else ""))


def bind(source: str, target: Path) -> None:
    """Binds a file or directory (``/proc/self/fd/N`` too) without what is mounted below it.

    The bind is a slave: no unmount at or below ``target`` can ever travel back to where ``source`` comes from.
    """
    mount(source, target, flags=MS_BIND)
    mount("none", target, flags=MS_SLAVE)


def unmount(target: str | Path, *, detach: bool = True) -> None:
    """Unmounts the topmost mount at ``target``; EINVAL when nothing is mounted there.

    With ``detach`` a busy mount goes at once for new users and for good when the last one lets go; else EBUSY.
    """
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if detach else 0)
    syscalls.call("umount2", os.fsencode(target), flags, about=str(target))


def mounts_below(root: Path) -> list[MountPoint]:
    """What is mounted at or below ``root`` in this mount namespace, in the order in which it was mounted."""
    real = os.path.realpath(root)
    found = _mount_table(containing=real)
    return [point for point in found if str(point.path) == real or str(point.path).startswith(f"{real}/")]


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted at exactly ``path`` (binds within one file system included)."""
    real = os.path.realpath(path)
    return any(str(point.path) == real for point in _mount_table(containing=real))


def mount_of(path: Path) -> MountPoint:
    """The mount that ``path`` lies in."""
    real = Path(os.path.realpath(path))
    around = [point for point in _mount_table(containing="/") if real.is_relative_to(point.path)]
    return max(enumerate(around), key=lambda each: (len(each[1].path.parts), each[0]))[1]  # of one place, the latest


def unmount_below(root: Path) -> None:
    """Unmounts everything at or below ``root``, latest first; what is busy is detached."""
    for point in reversed(mounts_below(root)):
        unmount(point.path)


def remove_tree(directory: Path) -> None:
    """Unmounts everything at or below ``directory``, then removes it; silent when it is not there.

    Data behind a mount is never deleted: when a mount cannot be undone, OSError says so and nothing is removed.
    """
    if not directory.exists():
        return
    unmount_below(directory)
    remaining = [str(point.path) for point in mounts_below(directory)]
    if remaining:
        raise OSError(f"{directory}: still mounted below: {', '.join(remaining)}")
    trees.remove_tree(directory)


def _mount_table(containing: str) -> Iterator[MountPoint]:
    """Mounts whose line contains that path: a node has hundreds of others, which need not be taken apart."""
    text = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    needle = re.sub(r"[ \t\n\\]", lambda character: f"\\{ord(character[0]):03o}", containing)
    lines = text.split("\n") if needle in text else []
    return (_parse(line) for line in lines if needle in line)


def _parse(line: str) -> MountPoint:
    before, _, after = line.partition(" - ")
    filesystem, source, *options = after.split(" ")
    return MountPoint(Path(_unescape(before.split(" ")[4])), filesystem, _unescape(source), "".join(options))


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text) if "\\" in text else text
