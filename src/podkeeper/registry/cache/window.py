"""The recent changes of one resource, from which watches resume.

Bounded in number and in bytes; the oldest go first. ``since`` is the oldest revision one can resume from: everything
after it is still here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct

from podkeeper.registry.item import StoredItem

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class CacheEvent(Struct, frozen=True):
    """One change. ``item`` is the object at this revision (for DELETED as it was last), ``previous`` the one before."""

    type: str
    item: StoredItem
    previous: StoredItem | None

    @property
    def revision(self) -> int:
        """The revision of the change."""
        return self.item.revision


class Window:
    """Events in order of revision."""

    def __init__(self, since: int, most: int = 10_000, most_bytes: int = 16 << 20, least: int = 100) -> None:
        self.since = since
        self._most, self._most_bytes, self._least = most, most_bytes, least
        self._events: deque[CacheEvent] = deque()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Window since {self.since}: {len(self._events)} events, {self._bytes} bytes>"

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: CacheEvent) -> None:
        """Adds the newest event."""
        self._events.append(event)
        self._bytes += event.item.size
        while len(self._events) > self._least and (len(self._events) > self._most or self._bytes > self._most_bytes):
            self._drop_oldest()

    def after(self, revision: int) -> Sequence[CacheEvent]:
        """Every event later than ``revision``, which must not be below ``since``."""
        events = self._events
        if not events or events[-1].revision <= revision:
            return ()
        # Most ask for little: walk back from the end while that is short.
        newest = list(islice(reversed(events), 64))
        if newest[-1].revision <= revision or len(newest) == len(events):
            return [event for event in reversed(newest) if event.revision > revision]
        everything = list(events)
        return everything[bisect_right(everything, revision, key=lambda event: event.revision) :]

    def shrink(self, keep_after: int) -> None:
        """Gives up events up to ``keep_after``, down to the least number."""
        while len(self._events) > self._least and self._events[0].revision <= keep_after:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        event = self._events.popleft()
        self._bytes -= event.item.size
        self.since = event.revision
