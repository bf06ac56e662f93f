"""Secondary indexes of one resource's items: by node name, by label. Made when first asked for, then kept up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from podkeeper.registry.item import StoredItem

Terms = Callable[[StoredItem], Iterable[Any]]


class Index:
    """Item keys by term. ``terms`` gives an item's terms, each hashable."""

    def __init__(self, terms: Terms, items: Iterable[StoredItem]) -> None:
        self._terms = terms
        self._keys: dict[Any, set[str]] = {}
        for item in items:
            self._add(item)

    def __repr__(self) -> str:
        return f"<Index of {len(self._keys)} terms>"

    def keys(self, term: Any) -> set[str]:
        """The keys of all items with that term; the caller must not change the set."""
        return self._keys.get(term) or set()

    def replace(self, old: StoredItem | None, new: StoredItem | None) -> None:
        """One item became another, came or went."""
        before = set(self._terms(old)) if old is not None else set()
        after = set(self._terms(new)) if new is not None else set()
        if old is not None:
            for term in before - after:
                self._discard(term, old.key)
        if new is not None:
            for term in after - before:
                self._keys.setdefault(term, set()).add(new.key)

    def _add(self, item: StoredItem) -> None:
        for term in self._terms(item):
            self._keys.setdefault(term, set()).add(item.key)

    def _discard(self, term: Any, key: str) -> None:
        keys = self._keys.get(term)
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._keys[term]


class Indexes:
    """The indexes of one resource: one over labels, one per field."""

    def __init__(self, items: Callable[[], Iterable[StoredItem]]) -> None:
        self._items = items
        self._made: dict[str, Index] = {}

    def by_labels(self, pairs: Mapping[str, str]) -> set[str]:
        """Keys of the items with one of these labels, the rarest; a superset of those with all of them."""
        index = self._made.get("") or self._make("", lambda item: item.head.labels.items())
        return min((index.keys(pair) for pair in pairs.items()), key=len)

    def by_field(self, field: str, value: str) -> set[str]:
        """Keys of the items whose selectable field has that value."""
        index = self._made.get(field) or self._make(field, lambda item: (item.head.fields.get(field, ""),))
        return index.keys(value)

    def replace(self, old: StoredItem | None, new: StoredItem | None) -> None:
        """Keeps all indexes up with one change."""
        for index in self._made.values():
            index.replace(old, new)

    def _make(self, name: str, terms: Terms) -> Index:
        index = self._made[name] = Index(terms, self._items())
        return index
