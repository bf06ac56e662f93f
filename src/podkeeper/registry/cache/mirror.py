"""The store's current view in memory, kept by one watch over everything and split by resource.

    store.range("/") --> caches      once, at revision L
    store.watch("/") --> windows     what happened shortly before L, so that watches resume across a restart
                     --> caches      every later change, in order; then watchers; then readers that wait for a revision

Reading the latest state means: wait until the mirror has seen the revision the store is at now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from podkeeper.api.errors import ApiError, Cause, unavailable
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.window import CacheEvent
from podkeeper.registry.keys import prefixes_of
from podkeeper.storage.store import Entry, Store, StoreClosed

PAGE = 2000
#: How many revisions before the start are read back from the log.
BACKFILL = 2000
#: How long the start waits for them, in seconds: a log whose newest entries were compacted has none to give.
BACKFILL_PATIENCE = 0.25
#: How long a read waits for a revision, in seconds; upstream's figure.
PATIENCE = 3.0


class Mirror:
    """All resource caches. ``revision``: everything up to it has been applied and dispatched."""

    def __init__(self, store: Store, caches: Iterable[ResourceCache]) -> None:
        self._store = store
        self._caches = {cache.prefix: cache for cache in caches}
        self._backfill: list[Entry] = []
        self._loaded = self._watched_from = 0
        self._backfilled = asyncio.Event()
        self._advanced: asyncio.Future[None] | None = None
        self._ended = False
        self.revision = 0

    def __repr__(self) -> str:
        return f"<Mirror at {self.revision} of {self._store!r}: {len(self._caches)} resources>"

    @property
    def caches(self) -> Iterable[ResourceCache]:
        """Every resource's cache."""
        return self._caches.values()

    def add(self, cache: ResourceCache) -> None:
        """Follows one more resource, whose cache holds what is there already."""
        cache.window.since = cache.changed = self.revision
        self._caches[cache.prefix] = cache

    def remove(self, cache: ResourceCache) -> None:
        """Follows a resource no more."""
        self._caches.pop(cache.prefix, None)

    async def load(self) -> None:
        """Reads the whole store. Call once, before ``run``."""
        page = await self._store.range("/", limit=PAGE)
        revision = page.revision
        while True:
            for record in page.records:
                cache = self._cache_of(record.key)
                if cache is not None:
                    cache.load(record)
            if not page.remaining:
                break
            page = await self._store.range("/", after=page.records[-1].key, limit=PAGE, revision=revision)
        self.revision = self._loaded = revision
        self._watched_from = min(revision, max(self._store.oldest - 1, revision - BACKFILL, 0))
        for cache in self._caches.values():
            cache.window.since = cache.changed = revision

    async def run(self) -> None:
        """Follows the store until it closes, then ends every watch."""
        if self._watched_from == self._loaded:
            self._backfilled.set()
        try:
            async for batch in self._store.watch("/", self._watched_from):
                self._take(batch)
        except StoreClosed:
            pass
        finally:
            self._end()

    async def wait_until_backfilled(self) -> None:
        """Returns when watches can resume from before the start, or when that is not to be had soon."""
        try:
            async with asyncio.timeout(BACKFILL_PATIENCE):
                await self._backfilled.wait()
        except TimeoutError:
            self._finish_backfill(self._loaded)

    async def wait_until_fresh(self) -> None:
        """Returns when everything acknowledged until now can be read."""
        target = self._store.revision
        while self.revision < target:
            await self._wait_for_advance()

    async def wait_for_revision(self, revision: int) -> None:
        """Returns when ``revision`` can be read; raises 504 when that takes more than three seconds."""
        if revision <= self.revision:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                while self.revision < revision:
                    await self._wait_for_advance()
        except TimeoutError:
            raise too_large(revision, self.revision) from None

    def bookmark(self) -> None:
        """Sends bookmarks to every watch that asked for them."""
        for cache in self._caches.values():
            cache.watches.bookmark(self.revision)

    def shrink(self, keep_after: int) -> None:
        """Lets windows give up changes up to that revision."""
        for cache in self._caches.values():
            cache.window.shrink(keep_after)

    def _take(self, batch: Sequence[Entry]) -> None:
        fresh: dict[str, list[CacheEvent]] = {}
        for entry in batch:
            revision = entry.record.revision
            if revision <= self._loaded:
                self._backfill.append(entry)
                continue
            cache = self._cache_of(entry.record.key)
            if cache is not None:
                fresh.setdefault(cache.prefix, []).append(cache.apply(entry))
        newest = batch[-1].record.revision
        if not self._backfilled.is_set() and newest >= self._loaded:
            self._finish_backfill(self._watched_from)
        self.revision = max(self.revision, newest)
        for prefix, events in fresh.items():
            self._caches[prefix].watches.dispatch(events)
        if self._advanced is not None:
            self._advanced.set_result(None)
            self._advanced = None

    def _finish_backfill(self, since: int) -> None:
        if self._backfilled.is_set():
            return
        self._backfilled.set()
        by_prefix: dict[str, list[Entry]] = {}
        for entry in self._backfill:
            cache = self._cache_of(entry.record.key)
            if cache is not None:
                by_prefix.setdefault(cache.prefix, []).append(entry)
        for prefix, cache in self._caches.items():
            cache.backfill(by_prefix.get(prefix, ()), since)
        self._backfill = []

    def _cache_of(self, key: str) -> ResourceCache | None:
        core, grouped = prefixes_of(key)
        return self._caches.get(core) or self._caches.get(grouped)

    async def _wait_for_advance(self) -> None:
        if self._ended:
            raise unavailable("the store is closed")
        if self._advanced is None:
            self._advanced = asyncio.get_running_loop().create_future()
        # Shielded: one waiter's cancellation must not end the wait of the others.
        await asyncio.shield(self._advanced)

    def _end(self) -> None:
        self._ended = True
        if self._advanced is not None:
            self._advanced.set_exception(unavailable("the store is closed"))
            self._advanced.exception()
            self._advanced = None
        for cache in self._caches.values():
            cache.watches.end_all()


def too_large(revision: int, current: int) -> ApiError:
    """504: the client asks for a revision that has not been written yet."""
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {revision}, current: {current}",
        causes=(Cause("ResourceVersionTooLarge", "Too large resource version"),),
        retry_after=1,
    )
