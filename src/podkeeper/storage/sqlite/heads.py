"""What the event loop knows of every key: the revisions of its newest change, committed or on the way to be.

Writes are decided against this alone. Values are held for recently written keys, within a bound of bytes, and always
for changes that are not committed yet.
"""

from __future__ import annotations

from typing import NamedTuple

from podkeeper.storage.store import Record

RECENT_BYTES = 8 << 20
RECORD_OVERHEAD = 300


class Head(NamedTuple):
    """The newest change of a key; ``created`` is 0 while a deletion is on its way."""

    revision: int
    created: int


class Heads:
    """Heads of all keys, and the records of recent ones."""

    def __init__(self, heads: dict[str, tuple[int, int]]) -> None:
        self._heads = heads
        self._recent: dict[str, Record] = {}
        self._recent_bytes = 0

    def __len__(self) -> int:
        return len(self._heads)

    def get(self, key: str) -> Head | None:
        """The newest change of ``key``, None if it is absent and no deletion is on its way."""
        head = self._heads.get(key)
        return Head(*head) if head else None

    def recent(self, key: str) -> Record | None:
        """The record of the newest change, where it is held."""
        return self._recent.get(key)

    def put(self, record: Record, committed: int) -> None:
        """Notes a creation or an update; records up to revision ``committed`` may be dropped to make room."""
        self._heads[record.key] = (record.revision, record.created)
        self._drop(record.key)
        self._recent[record.key] = record
        self._recent_bytes += len(record.value) + RECORD_OVERHEAD
        while self._recent_bytes > RECENT_BYTES:
            oldest = next(iter(self._recent.values()))
            if oldest.revision > committed:
                break
            self._drop(oldest.key)

    def mark_deleted(self, key: str, revision: int) -> None:
        """Notes a deletion on its way."""
        self._heads[key] = (revision, 0)
        self._drop(key)

    def restore(self, key: str, revision: int, created: int) -> None:
        """Goes back to an earlier change of ``key`` (0: there was none), as the later one did not happen."""
        if revision:
            self._heads[key] = (revision, created)
        else:
            self._heads.pop(key, None)
        self._drop(key)

    def forget(self, key: str, revision: int) -> None:
        """Forgets a key whose deletion at ``revision`` is committed, unless it was created anew."""
        if self._heads.get(key) == (revision, 0):
            del self._heads[key]

    def _drop(self, key: str) -> None:
        record = self._recent.pop(key, None)
        if record is not None:
            self._recent_bytes -= len(record.value) + RECORD_OVERHEAD
