"""File change notices from the kernel (inotify(7)) on the event loop."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from types import TracebackType

MODIFY, MOVED_TO, CREATE, DELETE_SELF = 0x2, 0x80, 0x100, 0x400
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Watches paths; ``wait`` returns after a change. An async context, because it holds a descriptor."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Inotify:
        self._descriptor = _libc().inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify: {os.strerror(number)}")
        asyncio.get_running_loop().add_reader(self._descriptor, self._drain)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def watch(self, path: Path, mask: int) -> None:
        """Adds a file or directory. Raises OSError; watching the same file again changes nothing."""
        if _libc().inotify_add_watch(self._descriptor, os.fsencode(path), mask) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify: {os.strerror(number)}", str(path))

    async def wait(self) -> None:
        """Returns when something changed since the last return."""
        await self._changed.wait()
        self._changed.clear()

    def _drain(self) -> None:
        try:
            os.read(self._descriptor, 1 << 16)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        self._changed.set()
