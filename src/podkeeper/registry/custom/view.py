"""A served version of a custom resource: what readers see of stored objects, whichever version and schema these were
written with.

Fields that the schema does not have (any more) are not shown, defaults that it has got since are. An object that this
leaves as it is keeps the bytes that it has.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import structural
from podkeeper.api.structural import Definition, Version
from podkeeper.registry.custom.conversion import Conversions
from podkeeper.registry.custom.shape import CustomShape
from podkeeper.registry.item import StoredItem
from podkeeper.registry.verbs import Item
from podkeeper.registry.views import ConvertedItem

Tree = dict[str, Any]


class CustomView:
    """Implements ``cache.watching.View``. A changed definition gets views of its own."""

    def __init__(self, definition: Definition, version: Version, conversions: Conversions | None = None) -> None:
        self.api_version, self.kind = f"{definition.group}/{version.name}", definition.kind
        self._stored_version = f"{definition.group}/{definition.stored.name}"
        self._schema = version.schema
        self._preserves = definition.preserves
        self.conversions, self._shape = conversions, CustomShape(definition, version)

    def has(self, stored: StoredItem) -> bool:
        """Whether the object is there in this version."""
        renderings: dict[Any, Any] | None = stored.renderings
        return renderings is not None and self in renderings

    def item(self, stored: StoredItem) -> Item:
        """The object in this version: the stored item itself where nothing differs."""
        renderings: dict[Any, Any] = stored.renderings if stored.renderings is not None else {}
        stored.renderings = renderings
        known = renderings.get(self)
        if known is None:
            known = renderings[self] = self._rendering(stored)
        return stored if known is stored.shape else known

    def _rendering(self, stored: StoredItem) -> Any:
        """What is kept for an item. Its shape stands for the item itself, so that items do not hold themselves."""
        tree = self.from_storage(stored.tree())
        if self.conversions is not None:
            return self._made(stored, tree)
        return stored.shape if tree == stored.tree() else ConvertedItem(stored, self)

    def _made(self, stored: StoredItem, tree: Tree) -> StoredItem:
        """An item for what was converted: it cannot be converted again whenever somebody looks."""
        metadata = {name: value for name, value in tree["metadata"].items() if name != "resourceVersion"}
        head = {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata}
        content = {name: value for name, value in tree.items() if name not in head}
        value = msgspec.json.encode(head | content)
        return StoredItem(self._shape, stored.key, stored.namespace, stored.name, stored.revision, value)

    def to_storage(self, tree: Tree) -> Tree:
        """A tree of this version as one of the stored version. Raises NeedsConversion."""
        if self.conversions is not None and self._stored_version != self.api_version:
            return self.conversions.converted(self._stored_version, tree | {"apiVersion": self.api_version})
        return tree | {"apiVersion": self._stored_version}

    def from_storage(self, tree: Tree) -> Tree:
        """A stored tree as this version shows it; ``tree`` is not changed. Raises NeedsConversion."""
        if self.conversions is not None and tree["apiVersion"] != self.api_version:
            tree = self.conversions.converted(self.api_version, tree)
        shown: Tree = msgspec.json.decode(msgspec.json.encode(tree))
        shown["apiVersion"] = self.api_version
        self.complete(shown)
        return shown

    def complete(self, tree: Tree) -> list[str]:
        """Prunes and defaults in place; the paths of what was pruned."""
        dropped = [] if self._preserves else structural.prune(tree, self._schema)
        structural.default(tree, self._schema)
        structural.drop_nulls(tree, self._schema)
        return dropped

    def render(self, stored: StoredItem) -> bytes:
        """The object's JSON in this version."""
        tree = self.from_storage(stored.tree())
        ordered = {name: tree.pop(name) for name in ("apiVersion", "kind", "metadata")}
        return msgspec.json.encode(ordered | tree)
