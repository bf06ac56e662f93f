"""Served versions of a stored resource, as readers see them (implements ``cache.watching.View``)."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.registry.conversion import Conversion, Tree
from podkeeper.registry.item import Shape, StoredItem
from podkeeper.registry.verbs import Item


class StorageView:
    """The version that is stored: items are what the cache holds."""

    def __init__(self, resource: Resource) -> None:
        self.api_version, self.kind = resource.api_version, resource.kind

    def item(self, stored: StoredItem) -> Item:
        """The very item."""
        return stored

    def to_storage(self, tree: Tree) -> Tree:
        """The tree itself."""
        return tree

    def from_storage(self, tree: Tree) -> Tree:
        """The tree itself."""
        return tree


class ConvertedView:
    """Another version: converted when first read, then kept with the stored item."""

    def __init__(self, resource: Resource, stored: Resource, shape: Shape, conversion: Conversion) -> None:
        self.api_version, self.kind = resource.api_version, resource.kind
        self._stored, self._shape, self._conversion = stored, shape, conversion
        self._opening = Shape(resource.api_version, resource.kind, shape.read_head).opening
        self._slot = (resource.group, resource.version)

    def item(self, stored: StoredItem) -> Item:
        """The object in this version."""
        if stored.renderings is None:
            stored.renderings = {}
        item = stored.renderings.get(self._slot)
        if item is None:
            item = stored.renderings[self._slot] = ConvertedItem(stored, self)
        return item

    def to_storage(self, tree: Tree) -> Tree:
        """A tree of this version as one of the stored version."""
        converted = self._conversion.to_storage(tree)
        return converted | {"apiVersion": self._stored.api_version, "kind": self._stored.kind}

    def from_storage(self, tree: Tree) -> Tree:
        """A tree of the stored version as one of this version; ``tree`` is not changed."""
        return self._conversion.from_storage(tree) | {"apiVersion": self.api_version, "kind": self.kind}

    def render(self, stored: StoredItem) -> bytes:
        """The object's JSON in this version."""
        if self._conversion.identical:
            return self._opening + stored.json[self._shape.offset :]
        tree = self.from_storage(stored.tree())
        ordered = {"apiVersion": tree.pop("apiVersion"), "kind": tree.pop("kind"), "metadata": tree.pop("metadata")}
        return msgspec.json.encode(ordered | tree)


class Renders(Protocol):
    """A view that makes an object's bytes anew."""

    api_version: str
    kind: str

    def render(self, stored: StoredItem) -> bytes:
        """The object's JSON in this version."""
        ...


class ConvertedItem:
    """Implements ``verbs.Item`` for a version that is not stored."""

    __slots__ = ("_json", "_message", "_stored", "_view")

    def __init__(self, stored: StoredItem, view: Renders) -> None:
        self._stored, self._view = stored, view
        self._json: bytes | None = None
        self._message: bytes | None = None

    def __repr__(self) -> str:
        return f"<ConvertedItem {self._view.api_version} of {self._stored!r}>"

    @property
    def key(self) -> str:
        """The stored key."""
        return self._stored.key

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return self._stored.namespace

    @property
    def name(self) -> str:
        """The object's name."""
        return self._stored.name

    @property
    def revision(self) -> int:
        """The object's revision."""
        return self._stored.revision

    @property
    def json(self) -> bytes:
        """The object in this version."""
        if self._json is None:
            self._json = self._view.render(self._stored)
        return self._json

    @property
    def type(self) -> tuple[str, str]:
        """apiVersion and kind."""
        return self._view.api_version, self._view.kind

    @property
    def message(self) -> bytes:
        """See ``verbs.Item.message``."""
        if self._message is None:
            from podkeeper.api import protobuf  # not every client wants it

            self._message = protobuf.message(*self.type, self.json)
        return self._message

    def tree(self) -> dict[str, Any]:
        """The object in this version as a plain tree."""
        tree: dict[str, Any] = msgspec.json.decode(self.json)
        return tree
