"""Who may clean up: everyone who brings images in holds the gate shared, and the last one out may have it alone.

Between the arrival of a layer and the image that refers to it nothing in the index protects it; the gate does, also
across processes, and the kernel opens it when a holder is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from podkeeper.runtime.images.threads import wait_for_lock


class Gate:
    """A file lock. Each entry is a lock of its own, so threads and tasks count like processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Nothing is cleaned up while this lasts. Waits while someone cleans up."""
        with self._open() as handle:
            await wait_for_lock(handle, fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def alone_nowait(self) -> Iterator[bool]:
        """True when nobody else is inside; then nobody enters while this lasts."""
        with self._open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield handle
        finally:
            os.close(handle)
