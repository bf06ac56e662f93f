"""A served version of a custom resource: what readers see of stored objects, whichever version and schema these were
written with, and what is stored of an object of that version.

    stored bytes --pruned, defaulted by the schema of their version--> converted --pruned--> as it is read
    as it was written --converted--> pruned by the schema of the storage version --> stored bytes

An object that this leaves as it is keeps the bytes that it has. Source: Kubernetes reference, Custom Resources,
"Defaulting" (which version's defaults apply when), Versions in CustomResourceDefinitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api import codec, structural
from podkeeper.api.selectors import fields as field_selectors
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.api.structural import Definition, Version
from podkeeper.registry.cache.selectable import NAME, NAMESPACE
from podkeeper.registry.custom.conversion import Conversions
from podkeeper.registry.custom.shape import CustomShape
from podkeeper.registry.item import Head, StoredItem
from podkeeper.registry.verbs import Item
from podkeeper.registry.views import ConvertedItem

Tree = dict[str, Any]


class CustomView:
    """Implements ``cache.watching.View`` and ``cache.selection.HeadSource``. A changed definition gets views of its
    own."""

    def __init__(self, definition: Definition, version: Version, conversions: Conversions | None = None) -> None:
        self.api_version, self.kind = f"{definition.group}/{version.name}", definition.kind
        self._stored_version = f"{definition.group}/{definition.stored.name}"
        self._version = version
        self._versions = {f"{definition.group}/{each.name}": each for each in definition.versions}
        self._preserves = definition.preserves
        self._heads = (self, "head")  # what heads are kept by, among the renderings of an item
        self.conversions, self._shape = conversions, CustomShape(definition, version)

    def has(self, stored: StoredItem) -> bool:
        """Whether the object is there in this version."""
        renderings: dict[Any, Any] | None = stored.renderings
        return renderings is not None and self in renderings

    async def prepare(self, items: Sequence[StoredItem]) -> None:
        """Gets what ``item`` needs for these. Raises ApiError 500."""
        if self.conversions is not None:
            await self.supply([item.tree() for item in items if not self.has(item)])
            for item in items:
                self.item(item)  # now, as what is known of conversions is forgotten again

    async def supply(self, trees: Sequence[Tree]) -> None:
        """Gets what ``from_storage`` needs for these. Raises ApiError 500."""
        if self.conversions is not None:
            missing = [self._completed(tree) for tree in trees if tree["apiVersion"] != self.api_version]
            await self.conversions.supply(self.api_version, missing)

    def item(self, stored: StoredItem) -> Item:
        """The object in this version: the stored item itself where nothing differs."""
        renderings: dict[Any, Any] = stored.renderings if stored.renderings is not None else {}
        stored.renderings = renderings
        known = renderings.get(self)
        if known is None:
            known = renderings[self] = self._rendering(stored)
        return stored if known is stored.shape else known

    def decides(self, labels: label_selectors.Selector, fields: field_selectors.Selector) -> bool:
        """Whether selectors may find something else in this version than in what is stored: defaults and conversions
        make fields, conversions labels."""
        named = any(each.field not in (NAME, NAMESPACE) for each in fields.requirements)
        return named or (self.conversions is not None and bool(labels.requirements))

    def head(self, stored: StoredItem) -> Head:
        """See ``HeadSource``. Raises NeedsConversion."""
        shown = self.item(stored)
        renderings: dict[Any, Any] = stored.renderings or {}
        head: Head | None = renderings.get(self._heads)
        if head is None:
            head = renderings[self._heads] = self._shape.read_head(shown.json, stored.namespace, stored.name)
        return head

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
        """The tree itself: rules are those of the served version, and what is stored is made of it in the end."""
        return tree

    def from_storage(self, tree: Tree) -> Tree:
        """A tree of any version as this version shows it; ``tree`` is not changed. Raises NeedsConversion."""
        shown = self._completed(tree)
        if shown["apiVersion"] == self.api_version:
            return shown
        if self.conversions is not None:
            shown = self.conversions.converted(self.api_version, shown)
        shown["apiVersion"] = self.api_version
        self._strip(shown, self._version)
        return shown

    def in_version(self, tree: Tree, api_version: str) -> tuple[Tree, Version] | None:
        """A tree of this version in another one; None where the definition has no such version. Raises
        NeedsConversion."""
        version = self._versions.get(api_version)
        if version is None:
            return None
        if self.conversions is not None:
            return self.conversions.converted(api_version, tree), version
        return tree | {"apiVersion": api_version}, version

    async def sealed(self, obj: Any) -> msgspec.Struct:
        """What is stored of an object of this version. Raises ApiError 500 where a webhook does not convert it."""
        if self._stored_version == self.api_version:
            self._strip(obj.content, self._version)
            return obj  # type: ignore[no-any-return]
        tree = codec.to_tree(obj)
        if self.conversions is not None:
            await self.conversions.supply(self._stored_version, [tree])
            tree = self.conversions.converted(self._stored_version, tree)
        tree["apiVersion"] = self._stored_version
        self._strip(tree, self._versions[self._stored_version])
        return codec.from_tree(type(obj), tree)  # type: ignore[no-any-return]

    def complete(self, tree: Tree) -> list[str]:
        """Prunes and defaults a tree of this version in place; the paths of what was pruned."""
        return self._complete(tree, self._version)

    def _completed(self, tree: Tree) -> Tree:
        """A tree of its own that is complete by the schema of the version that it is of."""
        found: Tree = msgspec.json.decode(msgspec.json.encode(tree))
        self._complete(found, self._versions.get(found["apiVersion"], self._version))
        return found

    def _complete(self, tree: Tree, version: Version) -> list[str]:
        dropped = [] if self._preserves else structural.prune(tree, version.schema)
        structural.default(tree, version.schema)
        structural.drop_nulls(tree, version.schema)
        return dropped

    def _strip(self, tree: Tree, version: Version) -> None:
        """Takes out what a version does not have, after a conversion to it."""
        if not self._preserves:
            structural.prune(tree, version.schema)
            structural.drop_nulls(tree, version.schema)

    def render(self, stored: StoredItem) -> bytes:
        """The object's JSON in this version."""
        tree = self.from_storage(stored.tree())
        ordered = {name: tree.pop(name) for name in ("apiVersion", "kind", "metadata")}
        return msgspec.json.encode(ordered | tree)
