"""The current objects of one stored resource, their recent changes, and what finds them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from podkeeper.registry.cache.index import Indexes
from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.cache.watching import INDEXED_FIELDS, WatchTable
from podkeeper.registry.cache.window import ADDED, DELETED, MODIFIED, CacheEvent, Window
from podkeeper.registry.item import Shape, StoredItem
from podkeeper.registry.keys import object_key, split_key
from podkeeper.storage.store import Change, Entry, Record

_TYPES = {Change.CREATE: ADDED, Change.UPDATE: MODIFIED, Change.DELETE: DELETED}


class ResourceCache:
    """Changed only by the mirror. ``changed`` is the revision of the last change, or that of the initial state: from
    there
    on the items have been what they are now."""

    def __init__(self, prefix: str, shape: Shape, namespaced: bool) -> None:
        self.prefix, self.shape, self.namespaced = prefix, shape, namespaced
        self.items: dict[str, StoredItem] = {}
        self.keys: list[str] = []
        self.window = Window(since=0)
        self.indexes = Indexes(self.items.values)
        self.watches = WatchTable()
        self.changed = 0
        #: How many changes there have been, and how many objects there were at the start.
        self.received = self.loaded = 0
        #: Items of acknowledged writes that the mirror has not brought yet.
        self._ahead: dict[str, StoredItem] = {}
        #: Stored bytes and struct of writes under way, the newest per key.
        self._drafts: dict[str, tuple[bytes, Any]] = {}

    def __repr__(self) -> str:
        return f"<ResourceCache {self.prefix} {len(self.items)} items, changed at {self.changed}, {self.watches!r}>"

    def key(self, namespace: str, name: str) -> str:
        """The key of an object of this resource."""
        return object_key(self.prefix, namespace, name)

    def item_of(self, record: Record) -> StoredItem:
        """A record as an item; nothing is decoded."""
        namespace, name = split_key(self.prefix, record.key)
        return StoredItem(self.shape, record.key, namespace, name, record.revision, record.value)

    def item_of_value(self, item: StoredItem, value: bytes, revision: int) -> StoredItem:
        """The same object with other content."""
        return StoredItem(self.shape, item.key, item.namespace, item.name, revision, value)

    def newest(self, key: str) -> StoredItem | None:
        """What is known to be there, own writes included that readers do not see yet."""
        return self._ahead.get(key) or self.items.get(key)

    @contextmanager
    def drafting(self, key: str, value: bytes, obj: Any) -> Iterator[None]:
        """While a write is under way, others can build on it without decoding it."""
        draft = self._drafts[key] = (value, obj)
        try:
            yield
        finally:
            if self._drafts.get(key) is draft:
                del self._drafts[key]

    def item_of_draft(self, record: Record) -> StoredItem:
        """The item of a record that may be of a write under way."""
        item, draft = self.item_of(record), self._drafts.get(record.key)
        if draft is not None and draft[0] is record.value:
            item.adopt(draft[1])
        return item

    def note_written(self, item: StoredItem) -> StoredItem:
        """Takes the item of an acknowledged write and returns the one to be shared with readers."""
        present = self.items.get(item.key)
        if present is not None and present.revision == item.revision:
            return present
        if item.revision > self.changed:
            self._ahead[item.key] = item
        return item

    def load(self, record: Record) -> None:
        """Takes one record of the initial state; they come in key order."""
        self.items[record.key] = self.item_of(record)
        self.keys.append(record.key)
        self.loaded += 1

    def apply(self, entry: Entry) -> CacheEvent:
        """Takes one change and returns it as an event, also kept in the window."""
        record = entry.record
        previous = self.items.get(record.key)
        item = self._written(record) or self.item_of(record)
        if entry.change is Change.DELETE:
            self._remove(record.key)
            self.indexes.replace(previous, None)
        else:
            if previous is None:
                self._insert(record.key)
            self.items[record.key] = item
            self.indexes.replace(previous, item)
        self.changed = record.revision
        self.received += 1
        event = CacheEvent(_TYPES[entry.change], item, previous)
        self.window.append(event)
        return event

    def past_event(self, entry: Entry) -> CacheEvent:
        """A change that the items show already, or no more."""
        previous = self.item_of(entry.previous) if entry.previous is not None else None
        return CacheEvent(_TYPES[entry.change], self.item_of(entry.record), previous)

    def backfill(self, entries: Sequence[Entry], since: int) -> None:
        """Fills the window with changes from before the initial state."""
        newer = self.window.after(self.window.since)
        self.window = Window(since)
        for entry in entries:
            self.window.append(self.past_event(entry))
        for event in newer:
            self.window.append(event)

    def select(self, selection: Selection, after: str = "", limit: int = 0) -> list[StoredItem]:
        """The selected items in key order, those after a key if given, at most ``limit`` (0: all)."""
        items = self.items
        if selection.name is not None and (selection.namespace or not self.namespaced):
            item = items.get(self.key(selection.namespace, selection.name))
            found = [item] if item is not None and item.key > after and selection.matches(item) else []
            return found
        keys = self._candidates(selection, after)
        if selection.plain:
            chosen = keys[:limit] if limit else keys
            return [items[key] for key in chosen]
        return _filtered((items[key] for key in keys), selection, limit)

    def count(self, namespace: str, after: str = "") -> int:
        """How many items there are in a namespace (or in all), after a key if given."""
        first, end = self._bounds(namespace, after)
        return end - first

    def _candidates(self, selection: Selection, after: str) -> Sequence[str]:
        first, end = self._bounds(selection.namespace, after)
        sets = []
        for field in INDEXED_FIELDS:
            if field in selection.exact_fields:
                sets.append(self.indexes.by_field(field, selection.exact_fields[field]))
        if selection.labels.equalities and selection.shown is None:
            sets.append(self.indexes.by_labels(selection.labels.equalities))
        rarest = min(sets, key=len, default=None)
        if rarest is None or len(rarest) >= end - first:
            return self.keys[first:end]
        return sorted(key for key in rarest if key > after)

    def _bounds(self, namespace: str, after: str) -> tuple[int, int]:
        keys = self.keys
        if not namespace:
            return (bisect_right(keys, after) if after else 0), len(keys)
        prefix = f"{self.prefix}{namespace}/"
        first = bisect_right(keys, after) if after > prefix else bisect_left(keys, prefix)
        # '0' follows '/' immediately, so this is the first key beyond the namespace.
        return first, max(first, bisect_left(keys, f"{self.prefix}{namespace}0"))

    def _written(self, record: Record) -> StoredItem | None:
        item = self._ahead.get(record.key) if self._ahead else None
        if item is None or item.revision > record.revision:
            return None
        del self._ahead[record.key]
        return item if item.revision == record.revision else None

    def _insert(self, key: str) -> None:
        if not self.keys or key > self.keys[-1]:
            self.keys.append(key)
        else:
            insort(self.keys, key)

    def _remove(self, key: str) -> None:
        if self.items.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]


def _filtered(items: Iterable[StoredItem], selection: Selection, limit: int) -> list[StoredItem]:
    found: list[StoredItem] = []
    for item in items:
        if selection.matches(item):
            found.append(item)
            if len(found) == limit:
                break
    return found
