"""System calls for which Python 3.11 has no function. Each raises OSError with the call's name and what it was about.

A call releases the interpreter's lock, but may wait for a disk: who is on an event loop uses a thread for those.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_OPENAT2 = 437  # the same on every architecture


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object, about: str) -> int:
    """libc's function ``name``; integers that are not C's int come as ctypes values."""
    result = int(_libc()[name](*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", about)
    return result


def unshare(flags: int) -> None:
    """Gives the calling thread its own directory (CLONE_FS) or mount table (CLONE_NEWNS)."""
    call("unshare", flags, about=hex(flags))


def enter_namespace(descriptor: int, kind: int) -> None:
    """Moves the calling thread into the namespace of that ``kind`` (CLONE_NEWNET) behind ``descriptor``."""
    call("setns", descriptor, kind, about=f"descriptor {descriptor}")


def sync_filesystem(path: Path) -> None:
    """Waits until everything of the file system that holds ``path`` is on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call("syncfs", handle, about=str(path))
    finally:
        os.close(handle)


def open_at(directory: int, path: str, flags: int, *, mode: int = 0, resolve: int) -> int:
    """A descriptor of ``path`` below the descriptor ``directory``; ``resolve`` says where links may lead (openat2)."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    return call("syscall", ctypes.c_long(_OPENAT2), directory, os.fsencode(path), ctypes.byref(how), size, about=path)
