"""Mounts by system call: tmpfs, bind, unmount, what is mounted where, and removing trees without crossing a mount.

Everything here raises OSError with the path in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from functools import cache
from pathlib import Path

MS_BIND, MS_SLAVE = 4096, 1 << 19
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 0x02, 0x08


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str, path: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}", path)
    return result


def _mount(source: str, target: str, fstype: str | None, flags: int, data: str | None) -> None:
    result = _libc().mount(
        source.encode(),
        os.fsencode(target),
        fstype.encode() if fstype else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {source}", target)


def mount_tmpfs(target: Path, size: int | None = None, mode: str = "0777") -> None:
    """Mounts an empty tmpfs of at most ``size`` bytes."""
    options = f"mode={mode}" + (f",size={size}" if size else "")
    _mount("tmpfs", str(target), "tmpfs", 0, options)


def bind(source: str, target: Path) -> None:
    """Binds a file or directory (``/proc/self/fd/N`` too) without what is mounted below it.

    The bind is a slave: no unmount at or below ``target`` can ever travel back to where ``source`` comes from.
    """
    _mount(source, str(target), None, MS_BIND, None)
    _mount("none", str(target), None, MS_SLAVE, None)


def unmount(target: Path) -> None:
    """Unmounts the topmost mount at ``target``, at once for new users and for good when the last one lets go."""
    _check(_libc().umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW), "umount", str(target))


def mounted_below(directory: Path) -> list[Path]:
    """Mount points at or below ``directory``, deepest and latest first."""
    root = os.path.realpath(directory)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    if _escape(root) not in text:
        return []
    points = (_unescape(line.split(" ", 5)[4]) for line in text.splitlines())
    return [Path(point) for point in points if point == root or point.startswith(root + "/")][::-1]


_ESCAPES = ((" ", "\\040"), ("\t", "\\011"), ("\n", "\\012"))


def _escape(text: str) -> str:
    text = text.replace("\\", "\\134")
    for plain, code in _ESCAPES:
        text = text.replace(plain, code)
    return text


def _unescape(text: str) -> str:
    if "\\" in text:
        for plain, code in _ESCAPES:
            text = text.replace(code, plain)
    return text.replace("\\134", "\\")


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted at exactly ``path`` (binds within one file system included)."""
    return Path(os.path.realpath(path)) in mounted_below(path)


def remove_tree(directory: Path) -> None:
    """Unmounts everything below ``directory``, then removes it. Data behind a mount is never deleted:
    when a mount cannot be undone, OSError says so and nothing is removed."""
    if not directory.exists():
        return
    present = mounted_below(directory)
    for point in present:
        unmount(point)
    remaining = mounted_below(directory) if present else []
    if remaining:
        raise OSError(f"{directory}: still mounted below: {', '.join(map(str, remaining))}")
    shutil.rmtree(directory)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: int, path: str, flags: int = os.O_PATH) -> int:
    """Opens ``path`` below the directory descriptor ``root``; no symlink may lead out of it (EXDEV)."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    result = _libc().syscall(_SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    return _check(result, "open", path)


def make_directories_beneath(root: int, path: str, mode: int = 0o750) -> None:
    """Creates the missing directories of ``path`` below ``root``, never through a symlink that leads out."""
    current = os.dup(root)
    try:
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, mode, dir_fd=current)
            following = open_beneath(current, part, os.O_PATH | os.O_DIRECTORY)
            os.close(current)
            current = following
    finally:
        os.close(current)
