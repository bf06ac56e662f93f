"""Hands entries to watchers as they are committed, in order, and lets callers wait for a revision.

Everything here runs on one event loop; ``publish`` never blocks. A watcher that does not keep up loses its queue,
not its entries: it reads them from the log. An entry finds its watchers by one prefix of its key per distinct
prefix length, so that many watchers cost little.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence

from podkeeper.storage.store import Entry, StoreClosed, StoreError

QUEUED = 4096  # entries that wait for one watcher


class FellBehind(Exception):
    """The queue was given up; ``first`` is the revision of the first entry that was in it."""

    def __init__(self, first: int) -> None:
        super().__init__(f"the watcher fell behind at revision {first}")
        self.first = first


class Subscription:
    """One watcher's queue: entries under ``prefix`` that were published since it was made. For one consumer."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._entries: list[Entry] = []
        self._lost_from = 0
        self._waiting: asyncio.Future[None] | None = None
        self._closed: StoreClosed | None = None

    def __repr__(self) -> str:
        return f"<Subscription {self.prefix!r} queued={len(self._entries)} closed={self._closed!r}>"

    async def wait_for_entries(self) -> list[Entry]:
        """Everything queued, at least one entry. Raises the feed's closing error once the queue is empty.

        Raises FellBehind when the queue was given up; it is filled again with what is published from then on.
        """
        while not self._entries:
            if self._lost_from:
                first, self._lost_from = self._lost_from, 0
                raise FellBehind(first)
            if self._closed is not None:
                raise _again(self._closed)
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        entries, self._entries = self._entries, []
        return entries

    def put_nowait(self, entry: Entry) -> None:
        """Queues one entry, unless there are too many."""
        if self._lost_from:
            return
        self._entries.append(entry)
        if len(self._entries) > QUEUED:
            self._lost_from = self._entries[0].record.revision
            self._entries = []
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def close(self, error: StoreClosed) -> None:
        """Lets the consumer see what is queued and then ``error``."""
        self._closed = error
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Feed:
    """The newest acknowledged revision, who watches, and who waits for a revision to be reached."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self._by_prefix: dict[str, list[Subscription]] = {}
        self._lengths: tuple[int, ...] = ()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._written = 0  # bytes of values that have passed
        self._growing: dict[asyncio.Future[None], int] = {}
        self._tickets = 0
        self._closed: StoreClosed | None = None

    def subscribe(self, prefix: str) -> Subscription:
        """A queue that gets every entry under ``prefix`` published from now on."""
        subscription = Subscription(prefix)
        if self._closed is not None:
            subscription.close(self._closed)
            return subscription
        self._by_prefix.setdefault(prefix, []).append(subscription)
        self._lengths = tuple(sorted({len(known) for known in self._by_prefix}))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forgets a queue. Safe to call twice."""
        watchers = self._by_prefix.get(subscription.prefix, [])
        if subscription in watchers:
            watchers.remove(subscription)
        if not watchers:
            self._by_prefix.pop(subscription.prefix, None)
            self._lengths = tuple(sorted({len(known) for known in self._by_prefix}))

    def publish(self, entries: Sequence[Entry], revision: int) -> None:
        """Acknowledges ``revision`` and hands ``entries`` (in order, none above it) to their watchers."""
        self.revision = revision
        self._grow(entries)
        by_prefix, lengths = self._by_prefix, self._lengths
        if lengths:
            for entry in entries:
                key = entry.record.key
                for length in lengths:
                    if length > len(key):
                        break
                    for subscription in by_prefix.get(key[:length], ()):
                        subscription.put_nowait(entry)
        while self._waiters and self._waiters[0][0] <= revision:
            _resolve(heapq.heappop(self._waiters)[2], None)

    async def wait_for_revision(self, revision: int) -> None:
        """Returns once ``revision`` is acknowledged; raises the closing error when that cannot happen any more."""
        if revision <= self.revision:
            return
        if self._closed is not None:
            raise _again(self._closed)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets += 1
        heapq.heappush(self._waiters, (revision, self._tickets, future))
        try:
            await future
        finally:
            if future.cancelled():
                self._waiters = [waiter for waiter in self._waiters if waiter[2] is not future]
                heapq.heapify(self._waiters)

    async def wait_for_growth(self, size: int) -> None:
        """Returns once values of ``size`` bytes more have been published. Raises the closing error."""
        if self._closed is not None:
            raise _again(self._closed)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._growing[future] = self._written + size
        try:
            await future
        finally:
            self._growing.pop(future, None)

    def refuse(self, revision: int, error: StoreError) -> None:
        """Ends those who wait for a revision up to ``revision``: none of them will come."""
        refused = [waiter for waiter in self._waiters if waiter[0] <= revision]
        self._waiters = [waiter for waiter in self._waiters if waiter[0] > revision]
        heapq.heapify(self._waiters)
        for _, _, future in refused:
            _resolve(future, error)

    def close(self, error: StoreClosed) -> None:
        """Ends every watcher and waiter with ``error``."""
        self._closed = error
        for watchers in self._by_prefix.values():
            for subscription in watchers:
                subscription.close(error)
        for future in (*(waiter[2] for waiter in self._waiters), *self._growing):
            _resolve(future, _again(error))
        self._by_prefix, self._lengths, self._waiters = {}, (), []

    def _grow(self, entries: Sequence[Entry]) -> None:
        self._written += sum(len(entry.record.value) for entry in entries)
        for future, target in self._growing.items():
            if target <= self._written:
                _resolve(future, None)


def _resolve(future: asyncio.Future[None], error: StoreError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _again(error: StoreClosed) -> StoreClosed:
    """A fresh exception per raise: one instance raised in many tasks would collect all their tracebacks."""
    fresh = StoreClosed(*error.args)
    fresh.__cause__ = error.__cause__
    return fresh
