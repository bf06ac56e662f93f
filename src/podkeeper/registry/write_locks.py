"""Lets read-modify-append loops on one key take turns, so that none of them reads what another is about to replace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class WriteLocks:
    """A lock per key that is being written; nothing is kept for the others."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def __repr__(self) -> str:
        return f"<WriteLocks on {len(self._locks)} keys>"

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Waits for its turn on ``key``, in order of arrival."""
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, users - 1
