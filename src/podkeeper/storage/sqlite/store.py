"""``SqliteStore``: decides writes on the event loop, commits them in groups on one thread, reads on others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from podkeeper.storage.feed import Feed, FellBehind
from podkeeper.storage.sqlite import compaction
from podkeeper.storage.sqlite.heads import Head, Heads
from podkeeper.storage.sqlite.log import Write
from podkeeper.storage.sqlite.reader import (
    Reader,
    read_bounds,
    read_entries,
    read_heads,
    read_page,
    read_record,
    span,
)
from podkeeper.storage.sqlite.schema import lock, open_writer
from podkeeper.storage.sqlite.wal import StoreDamaged
from podkeeper.storage.sqlite.writer import Writer
from podkeeper.storage.store import (
    Change,
    Entry,
    KeyExists,
    Page,
    Record,
    RevisionCompacted,
    RevisionInFuture,
    RevisionMismatch,
    StoreClosed,
    StoreFull,
)

log = logging.getLogger(__name__)

CONTINUED = 100  # lists under way whose counts are remembered


class SqliteStore:
    """Implements ``storage.store.Store`` on one file. Made by ``open``; belongs to the event loop that opened it."""

    def __init__(self, path: Path, lock_descriptor: int, connection: sqlite3.Connection) -> None:
        newest, self._oldest = read_bounds(connection)
        self._path, self._lock = path, lock_descriptor
        self._feed = Feed(newest)
        self._heads = Heads(read_heads(connection))
        self._reader = Reader(path)
        self._writer = Writer(connection, path, newest, self._acknowledge, self._fail, self._refuse)
        # How many records follow a page: counted for the first page of a list, not for each.
        self._continued: dict[tuple[str, str, int], int] = {}
        self._compacting = asyncio.Lock()
        self._closing = asyncio.Lock()
        self._closed: StoreClosed | None = None
        self._freed = self._full = False

    def __repr__(self) -> str:
        state = f"closed={self._closed!r} " if self._closed else ""
        return (
            f"<SqliteStore {self._path} {state}revision={self.revision} oldest={self._oldest} keys={len(self._heads)}>"
        )

    @classmethod
    async def open(cls, path: Path | str) -> SqliteStore:
        """Opens or makes the store at ``path``.

        Raises DatabaseLocked, SchemaUnsupported, StoreDamaged or (no room, no permission) sqlite3.OperationalError.
        """
        return await asyncio.to_thread(cls._open, Path(path))

    @classmethod
    def _open(cls, path: Path) -> SqliteStore:
        with contextlib.ExitStack() as undo:
            descriptor = lock(path)
            undo.callback(os.close, descriptor)
            connection = undo.enter_context(contextlib.closing(open_writer(path)))
            try:
                store = cls(path, descriptor, connection)
            except sqlite3.DatabaseError as error:
                raise StoreDamaged(f"{path} cannot be read: {error}: restore it from a backup") from error
            undo.pop_all()
            return store

    @property
    def revision(self) -> int:
        """The newest acknowledged revision."""
        return self._feed.revision

    @property
    def oldest(self) -> int:
        """The oldest revision that can be read."""
        return self._oldest

    @property
    def size(self) -> int:
        """See ``Store.size``."""
        return self._path.stat().st_size

    async def create(self, key: str, value: bytes) -> int:
        """See ``Store.create``."""
        while True:
            self._refuse_when_closed()
            head = self._heads.get(key)
            if head is None or not head.created:
                revision = self._writer.next_revision()
                record = Record(key, value, revision, revision)
                self._heads.put(record, self.revision)
                return await self._writer.append(Write(Change.CREATE, key, revision, revision, record, 0, None))
            current = await self._settled(key, head)
            if current is not None:
                raise KeyExists(current)

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See ``Store.update``."""
        head, before = await self._expect(key, expected)
        revision = self._writer.next_revision()
        record = Record(key, value, revision, head.created)
        self._heads.put(record, self.revision)
        return await self._writer.append(
            Write(Change.UPDATE, key, revision, head.created, record, head.revision, before)
        )

    async def delete(self, key: str, expected: int) -> int:
        """See ``Store.delete``."""
        head, before = await self._expect(key, expected)
        revision = self._writer.next_revision()
        self._heads.mark_deleted(key, revision)
        return await self._writer.append(Write(Change.DELETE, key, revision, head.created, None, head.revision, before))

    async def get(self, key: str, revision: int = 0) -> Record | None:
        """See ``Store.get``. The current value of an absent or recently written key is known without a read."""
        self._refuse_when_closed()
        if not revision:
            head = self._heads.get(key)
            if head is None:
                return None
            if head.revision <= self.revision and (record := self._heads.recent(key)) is not None:
                return record
        return await self._reader.run(partial(read_record, key=key, revision=revision))

    def newest(self, key: str) -> Record | None:
        """See ``Store.newest``."""
        return self._heads.recent(key)

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See ``Store.range``."""
        self._refuse_when_closed()
        known = self._continued.pop((prefix, after, revision), None)
        page = await self._reader.run(
            partial(read_page, keys=span(prefix, after), limit=limit, revision=revision, known=known)
        )
        if page.remaining:
            self._continued[prefix, page.records[-1].key, page.revision] = page.remaining
            if len(self._continued) > CONTINUED:
                del self._continued[next(iter(self._continued))]
        return page

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Entry]]:
        """See ``Store.watch``. Entries up to now come from the log; the feed has every later one, or as many as fit."""
        self._refuse_when_closed()
        if after + 1 < self._oldest:
            raise RevisionCompacted(after + 1, self._oldest)
        subscription, now = self._feed.subscribe(prefix), self.revision
        try:
            while True:
                while after < now:
                    past = await self._reader.run(partial(read_entries, keys=span(prefix), after=after, until=now))
                    after = past[-1].record.revision if past else now
                    if past:
                        yield past
                try:
                    entries = await subscription.wait_for_entries()
                except FellBehind as behind:
                    after, now = max(after, behind.first - 1), self.revision
                    continue
                fresh = [entry for entry in entries if entry.record.revision > after]
                if fresh:
                    yield fresh
        finally:
            self._feed.unsubscribe(subscription)

    async def wait_for_revision(self, revision: int) -> None:
        """Returns once ``revision`` is acknowledged. Raises StoreClosed when the store closes before."""
        await self._feed.wait_for_revision(revision)

    async def wait_for_growth(self, size: int) -> None:
        """Returns once ``size`` bytes more have been written. Raises StoreClosed when the store closes before."""
        await self._feed.wait_for_growth(size)

    async def compact(self, revision: int) -> None:
        """See ``Store.compact``. Cancelled half-way, it is finished by the next call."""
        self._refuse_when_closed()
        if revision > self.revision:
            raise RevisionInFuture(revision, self.revision)
        self._oldest = max(self._oldest, revision)
        async with self._compacting:
            await self._writer.run(partial(compaction.begin, oldest=self._oldest))
            while await self._writer.run(compaction.step):
                pass
            while await self._writer.run(compaction.vacuum_step):
                pass

    async def close(self) -> None:
        """See ``Store.close``."""
        if self._closed is None:
            self._closed = StoreClosed("the store was closed")
        async with self._closing:
            if self._freed:
                return
            await self._writer.wait_until_idle()
            self._feed.close(self._closed)
            await self._reader.close()
            await self._writer.close()
            os.close(self._lock)
            self._freed = True

    def _refuse_when_closed(self) -> None:
        if self._closed is not None:
            raise StoreClosed(*self._closed.args) from self._closed.__cause__

    async def _expect(self, key: str, expected: int) -> tuple[Head, Record | None]:
        """The head of ``key``, which is at ``expected``, and its record where memory holds it."""
        self._refuse_when_closed()
        head = self._heads.get(key)
        if head is not None and head.created and head.revision == expected:
            return head, self._heads.recent(key)
        current = await self._settled(key, head) if head is not None else None
        raise RevisionMismatch(key, expected, current)

    async def _settled(self, key: str, head: Head) -> Record | None:
        """What is there once the change that refused a write is acknowledged: nobody is told of less."""
        await self._feed.wait_for_revision(head.revision)
        return await self.get(key)

    def _acknowledge(self, writes: Sequence[Write]) -> None:
        """Called by the writer, on the loop, with a committed group."""
        if self._full:
            self._full = False
            log.info("the store %s has room again", self._path)
        for write in writes:
            if write.change is Change.DELETE:
                self._heads.forget(write.key, write.revision)
        self._feed.publish([write.entry() for write in writes], writes[-1].revision)

    def _refuse(self, writes: Sequence[Write], error: BaseException) -> StoreFull:
        """Called by the writer with the writes, in order, that did not happen: what they built on holds again."""
        if not self._full:
            self._full = True
            log.error("the store %s has no room, writes are refused until it has: %s", self._path, error)
        for write in reversed(writes):
            self._heads.restore(write.key, write.previous, write.created)
        full = StoreFull(f"the store {self._path} has no room: {error}")
        self._feed.refuse(writes[-1].revision, full)
        return full

    def _fail(self, error: BaseException) -> StoreClosed:
        """Called by the writer when a commit failed: what is in memory may be ahead of the file, so this is the end."""
        if self._closed is None:
            self._closed = StoreClosed(f"writing the store {self._path} failed: {error}")
        self._closed.__cause__ = error
        self._feed.close(self._closed)
        return self._closed
