"""Events live for an hour after their last change. One bounded task removes them; nothing else waits for it."""

from __future__ import annotations

import asyncio
import heapq

from podkeeper.api import timestamps
from podkeeper.foundation.clock import Clock
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.item import StoredItem
from podkeeper.storage.store import RevisionMismatch, Store

TIME_TO_LIVE = 3600.0
PERIOD = 60.0
#: How many deletions are handed to the store together.
BATCH = 100


class EventExpiry:
    """Keeps the time of each event's last change: of those found at the start, what they say themselves."""

    def __init__(self, store: Store, cache: ResourceCache, clock: Clock, time_to_live: float = TIME_TO_LIVE) -> None:
        self._store, self._cache, self._clock, self._time_to_live = store, cache, clock, time_to_live
        self._due: list[tuple[float, str, int]] = []
        self._seen = 0

    def __repr__(self) -> str:
        return f"<EventExpiry of {len(self._due)} events>"

    async def run(self) -> None:
        """Until cancelled."""
        self.take_in(at_start=True)
        while True:
            await self._clock.sleep(PERIOD)
            self.take_in()
            await self.remove_due()

    def take_in(self, at_start: bool = False) -> None:
        """Notes the events that were written since the last call."""
        now = self._clock.time()
        for item in self._cache.items.values() if at_start else self._changed_items():
            written = min(now, _last_change(item)) if at_start else now
            heapq.heappush(self._due, (written + self._time_to_live, item.key, item.revision))
        self._seen = self._cache.changed

    async def remove_due(self) -> int:
        """Deletes what is due, as long as it is still what was noted; returns how many."""
        now, removed = self._clock.time(), 0
        while self._due and self._due[0][0] <= now:
            batch = [heapq.heappop(self._due) for _ in range(BATCH) if self._due and self._due[0][0] <= now]
            removed += sum(await asyncio.gather(*(self._remove(key, revision) for _, key, revision in batch)))
        return removed

    def _changed_items(self) -> list[StoredItem]:
        return [item for item in self._cache.items.values() if item.revision > self._seen]

    async def _remove(self, key: str, revision: int) -> bool:
        item = self._cache.items.get(key)
        if item is None or item.revision != revision:
            return False  # changed since: noted anew under its later revision
        try:
            await self._store.delete(key, revision)
        except RevisionMismatch:
            return False
        return True


def _last_change(item: StoredItem) -> float:
    """When an event was last written, by its own account; 0 if it does not say."""
    tree = item.tree()
    series = tree.get("series") or {}
    stamps = (
        tree.get("lastTimestamp"),
        tree.get("eventTime"),
        series.get("lastObservedTime"),
        tree["metadata"].get("creationTimestamp"),
    )
    return max((timestamps.parse(stamp) for stamp in stamps if stamp), default=0.0)
