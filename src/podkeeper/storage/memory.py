"""The store in memory: the whole Protocol with history, durable not at all; the plainest reading of the contract."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Sequence

from podkeeper.storage.feed import Feed, FellBehind
from podkeeper.storage.keys import first_key
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
)

COMPACTION_STEP = 1000


def _revision_of(entry: Entry) -> int:
    return entry.record.revision


class MemoryStore:
    """Implements ``storage.store.Store``. The current view is a dict; history is a list per key and one for all."""

    def __init__(self) -> None:
        self._feed = Feed(revision=0)
        self._oldest = 1
        self._current: dict[str, Record] = {}
        self._keys: list[str] = []  # every key in _history, sorted
        self._history: dict[str, list[Entry]] = {}
        self._log: list[Entry] = []  # every entry from _oldest on
        self._closed: StoreClosed | None = None

    def __repr__(self) -> str:
        return f"<MemoryStore revision={self.revision} oldest={self._oldest} keys={len(self._current)}>"

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._feed.revision

    @property
    def oldest(self) -> int:
        """The oldest revision that can be read."""
        return self._oldest

    @property
    def size(self) -> int:
        """See ``Store.size``."""
        return 0

    async def create(self, key: str, value: bytes) -> int:
        """See ``Store.create``."""
        self._refuse_when_closed()
        if (current := self._current.get(key)) is not None:
            raise KeyExists(current)
        revision = self.revision + 1
        return self._append(Change.CREATE, Record(key, value, revision, revision), None)

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See ``Store.update``."""
        previous = self._expect(key, expected)
        return self._append(Change.UPDATE, Record(key, value, self.revision + 1, previous.created), previous)

    async def delete(self, key: str, expected: int) -> int:
        """See ``Store.delete``."""
        previous = self._expect(key, expected)
        return self._append(Change.DELETE, Record(key, previous.value, self.revision + 1, previous.created), previous)

    async def get(self, key: str, revision: int = 0) -> Record | None:
        """See ``Store.get``."""
        self._refuse_when_closed()
        if not revision:
            return self._current.get(key)
        self._refuse_out_of_bounds(revision)
        return self._as_of(key, revision)

    def newest(self, key: str) -> Record | None:
        """See ``Store.newest``; every write is acknowledged at once here."""
        return self._current.get(key)

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See ``Store.range``."""
        self._refuse_when_closed()
        at = revision or self.revision
        if revision:
            self._refuse_out_of_bounds(revision)
        records = []
        for key in self._keys[bisect_left(self._keys, first_key(prefix, after)) :]:
            if not key.startswith(prefix):
                break
            if (record := self._as_of(key, at)) is not None:
                records.append(record)
        page = records[:limit] if limit else records
        return Page(page, at, len(records) - len(page))

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Entry]]:
        """See ``Store.watch``."""
        self._refuse_when_closed()
        past = self._past(prefix, after)
        subscription = self._feed.subscribe(prefix)
        try:
            while True:
                if past:
                    yield past
                try:
                    entries = await subscription.wait_for_entries()
                except FellBehind as behind:
                    past = self._past(prefix, max(after, behind.first - 1))
                    continue
                # A watcher may ask for revisions after one that is yet to come.
                past = [entry for entry in entries if entry.record.revision > after]
        finally:
            self._feed.unsubscribe(subscription)

    async def wait_for_revision(self, revision: int) -> None:
        """Returns once ``revision`` has been written. Raises StoreClosed when the store closes before."""
        await self._feed.wait_for_revision(revision)

    async def wait_for_growth(self, size: int) -> None:
        """Returns once ``size`` bytes more have been written. Raises StoreClosed when the store closes before."""
        await self._feed.wait_for_growth(size)

    async def compact(self, revision: int) -> None:
        """See ``Store.compact``."""
        self._refuse_when_closed()
        if revision > self.revision:
            raise RevisionInFuture(revision, self.revision)
        if revision <= self._oldest:
            return
        self._oldest = revision
        while self._log and _revision_of(self._log[0]) < revision:
            step = self._log[:COMPACTION_STEP]
            dropped = [entry for entry in step if _revision_of(entry) < revision]
            del self._log[: len(dropped)]
            for key in {entry.record.key for entry in dropped}:
                self._forget(key, revision)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """See ``Store.close``."""
        if self._closed is None:
            self._closed = StoreClosed("the store was closed")
            self._feed.close(self._closed)

    def _refuse_when_closed(self) -> None:
        if self._closed is not None:
            raise StoreClosed(*self._closed.args)

    def _refuse_out_of_bounds(self, revision: int) -> None:
        if revision < self._oldest:
            raise RevisionCompacted(revision, self._oldest)
        if revision > self.revision:
            raise RevisionInFuture(revision, self.revision)

    def _expect(self, key: str, expected: int) -> Record:
        self._refuse_when_closed()
        current = self._current.get(key)
        if current is None or current.revision != expected:
            raise RevisionMismatch(key, expected, current)
        return current

    def _append(self, change: Change, record: Record, previous: Record | None) -> int:
        entry = Entry(change, record, previous)
        self._log.append(entry)
        if record.key not in self._history:
            insort(self._keys, record.key)
        self._history.setdefault(record.key, []).append(entry)
        if change is Change.DELETE:
            del self._current[record.key]
        else:
            self._current[record.key] = record
        self._feed.publish((entry,), record.revision)
        return record.revision

    def _past(self, prefix: str, after: int) -> list[Entry]:
        if after + 1 < self._oldest:
            raise RevisionCompacted(after + 1, self._oldest)
        first = bisect_right(self._log, after, key=_revision_of)
        return [entry for entry in self._log[first:] if entry.record.key.startswith(prefix)]

    def _as_of(self, key: str, revision: int) -> Record | None:
        history = self._history.get(key, [])
        index = bisect_right(history, revision, key=_revision_of)
        if not index or history[index - 1].change is Change.DELETE:
            return None
        return history[index - 1].record

    def _forget(self, key: str, revision: int) -> None:
        """Drops what no read at ``revision`` or later can see of ``key``."""
        history = self._history.get(key, [])
        kept = bisect_right(history, revision, key=_revision_of) - 1
        if kept >= 0 and history[kept].change is Change.DELETE:
            kept += 1
        del history[: max(kept, 0)]
        if not history and key in self._history:
            del self._history[key]
            self._keys.remove(key)
