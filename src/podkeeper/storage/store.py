"""The Protocol of a revisioned log of bytes with a current view.

Every engine (memory, sqlite, later etcd) keeps this contract; one suite in tests/contract proves it for each.
Keys are text such as ``/pods/default/web``; a key's bytes sort as its UTF-8 encoding. Values are opaque.
A revision is a positive integer that grows by at least one with every change and is never given out twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct


class StoreError(Exception):
    """Base of everything a store raises on purpose."""


class KeyExists(StoreError):
    """Create found the key present. ``current`` is what is there."""

    def __init__(self, current: Record) -> None:
        super().__init__(f"key {current.key} exists at revision {current.revision}")
        self.current = current


class RevisionMismatch(StoreError):
    """An update or delete named a revision that is not the key's. ``current`` is what is there, None if nothing."""

    def __init__(self, key: str, expected: int, current: Record | None) -> None:
        found = f"revision {current.revision}" if current else "nothing"
        super().__init__(f"key {key}: expected revision {expected}, found {found}")
        self.key, self.expected, self.current = key, expected, current


class RevisionCompacted(StoreError):
    """The revision asked for is older than what the log still holds. ``oldest`` can still be read."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} has been compacted; the oldest is {oldest}")
        self.revision, self.oldest = revision, oldest


class RevisionInFuture(StoreError):
    """The revision asked for has not been written yet. ``current`` is the newest."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is ahead of the store at {current}")
        self.revision, self.current = revision, current


class StoreFull(StoreError):
    """There is no room for a write: it did not happen. Reads go on, and so do writes once there is room again."""


class StoreClosed(StoreError):
    """The store was closed, or its engine failed for good (I/O error: see ``__cause__``)."""


class Change(Enum):
    """What a log entry did to its key."""

    CREATE = 1
    UPDATE = 2
    DELETE = 3


class Record(Struct, frozen=True):
    """One key's value as of ``revision`` (its last change); ``created`` is the revision that created it."""

    key: str
    value: bytes
    revision: int
    created: int


class Entry(Struct, frozen=True):
    """One log entry. For a DELETE ``record.value`` is the last value and ``record.revision`` the deletion's own."""

    change: Change
    record: Record
    previous: Record | None


class Page(Struct, frozen=True):
    """An answer to ``range``: records in key order as of ``revision``; ``remaining`` counts those after the last."""

    records: Sequence[Record]
    revision: int
    remaining: int


class Store(Protocol):
    """A log of changes and the view it adds up to. Safe for any number of concurrent callers on one event loop.

    Writes are linearizable. A write that returned is durable (as durable as the engine promises: sqlite after
    fsync, memory not at all) and is seen by every read that starts afterwards. A write whose caller is cancelled
    may or may not have happened, wholly in either case. Concurrent writes may share one commit; each still has
    a revision of its own and fails or succeeds alone, except that StoreFull may refuse all of them together.
    """

    @property
    def revision(self) -> int:
        """The newest acknowledged revision; 0 in an empty store that never was written."""
        ...

    @property
    def oldest(self) -> int:
        """The oldest revision at which ``range`` and ``get`` can still read (1 before any compaction).

        A watch after ``oldest - 1`` gets every entry from ``oldest`` on; the newest entry is never forgotten.
        """
        ...

    @property
    def size(self) -> int:
        """Bytes on disk; 0 where nothing is kept there."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Adds ``key`` and returns the new revision, or raises KeyExists."""
        ...

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """Replaces the value of ``key`` whose revision is ``expected``, or raises RevisionMismatch."""
        ...

    async def delete(self, key: str, expected: int) -> int:
        """Removes ``key`` whose revision is ``expected``; returns the deletion's revision. Raises RevisionMismatch."""
        ...

    async def get(self, key: str, revision: int = 0) -> Record | None:
        """The record of ``key`` now (0) or as of ``revision``. Raises RevisionCompacted or RevisionInFuture."""
        ...

    def newest(self, key: str) -> Record | None:
        """The state that a write of ``key`` would be judged against now, where memory holds it; None says nothing.

        It may be of a write that is not acknowledged yet. A write that names its revision as ``expected`` is
        acknowledged after it; who answers from it alone waits first until ``revision`` has reached its revision.
        """
        ...

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Records whose key starts with ``prefix`` and is greater than ``after``, at most ``limit`` (0: all).

        As of ``revision`` (0: now). Raises RevisionCompacted or RevisionInFuture.
        """
        ...

    def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Entry]]:
        """Every entry under ``prefix`` with a revision greater than ``after``, in order, none twice, none missing.

        Yields non-empty batches as they become durable; past entries come first. Raises RevisionCompacted at the
        first step if ``after + 1`` is no longer held and an entry could have been lost, and later to a watcher that
        has not kept up for so long that what it missed is compacted; its queue is bounded. Ends with StoreClosed
        when the store closes. Closing the iterator (``aclose``) frees it.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forgets what only reads before ``revision`` need. The current view never changes. Bounded work per step."""
        ...

    async def close(self) -> None:
        """Waits for writes under way, then refuses everything with StoreClosed. Safe to call twice."""
        ...
