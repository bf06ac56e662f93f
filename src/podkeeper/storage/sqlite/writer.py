"""The writer: one thread, one connection, one commit for all writes that wait.

```
append ─► waiting ──(thread idle)──► committing ──► acknowledged (feed first, then the callers)
             ▲                          │ failed
             └── writes meanwhile       ├─► disk full: everything waiting and committing is refused
                                        └─► otherwise: it fails, and the store with it
```
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from podkeeper.storage.sqlite.log import Write, commit
from podkeeper.storage.store import StoreClosed, StoreError

T = TypeVar("T")
GROUP_SIZE = 256  # at most so many writes share a commit: the event loop prepares the next group meanwhile
GROUPS_PER_WAL_CHECK = 256
WAL_LIMIT_BYTES = 64 << 20


class Writer:
    """Gives out revisions and makes writes durable, in order. Lives on one event loop."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        newest: int,
        acknowledge: Callable[[Sequence[Write]], None],
        fail: Callable[[BaseException], StoreClosed],
        refuse: Callable[[Sequence[Write], BaseException], StoreError],
    ) -> None:
        self._connection, self._newest = connection, newest
        self._wal = path.with_name(path.name + "-wal")
        self._acknowledge, self._fail, self._refuse = acknowledge, fail, refuse
        self._thread = ThreadPoolExecutor(1, "store-writer")
        self._waiting: list[tuple[Write, asyncio.Future[int]]] = []
        self._committing: list[tuple[Write, asyncio.Future[int]]] = []
        self._scheduled = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._groups = 0

    def next_revision(self) -> int:
        """A revision that was never given out."""
        self._newest += 1
        return self._newest

    def append(self, write: Write) -> asyncio.Future[int]:
        """Commits ``write`` with the next group; the future has its revision when it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._waiting.append((write, future))
        if not self._scheduled and not self._committing:
            # Not at once: whoever else is ready to write in this turn of the loop joins the group.
            self._scheduled = True
            self._idle.clear()
            loop.call_soon(self._start)
        return future

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs ``job`` on the writer's connection between two groups. Raises StoreError from SQLite's errors."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, job, self._connection)
        except sqlite3.Error as error:
            raise StoreError(f"maintaining the store failed: {error}") from error

    async def wait_until_idle(self) -> None:
        """Returns when no write waits."""
        await self._idle.wait()

    async def close(self) -> None:
        """Folds the write-ahead log into the file and frees it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()

    def _start(self) -> None:
        self._scheduled = False
        self._committing, self._waiting = self._waiting[:GROUP_SIZE], self._waiting[GROUP_SIZE:]
        writes = [write for write, _ in self._committing]
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._thread, self._commit, writes).add_done_callback(partial(self._finish, writes))

    def _commit(self, writes: Sequence[Write]) -> None:
        """On the writer thread."""
        commit(self._connection, writes)
        self._groups += 1
        if self._groups % GROUPS_PER_WAL_CHECK == 0 and self._wal.stat().st_size > WAL_LIMIT_BYTES:
            # Readers that overlap without a gap keep the log from starting over; this waits for a gap.
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _finish(self, writes: Sequence[Write], outcome: asyncio.Future[None]) -> None:
        error = asyncio.CancelledError() if outcome.cancelled() else outcome.exception()
        if error is not None:
            self._give_up(error)
            return
        committed, self._committing = self._committing, []
        if self._waiting:
            self._start()
        else:
            self._idle.set()
        self._acknowledge(writes)
        for write, future in committed:
            if not future.done():
                future.set_result(write.revision)

    def _give_up(self, error: BaseException) -> None:
        """Nothing of a group that did not fit is in the file; after any other error nobody knows."""
        group = self._committing + self._waiting
        self._committing, self._waiting = [], []
        self._idle.set()
        if isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            told: StoreError = self._refuse([write for write, _ in group], error)
        else:
            told = self._fail(error)
        for _, future in group:
            if not future.done():
                failure = type(told)(*told.args)
                failure.__cause__ = error
                future.set_exception(failure)
