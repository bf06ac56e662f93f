"""One resource in one served version with everything its verbs need, and what all resources share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from podkeeper.api import codec
from podkeeper.api.catalogue import Resource
from podkeeper.foundation.clock import Clock
from podkeeper.registry.admission import Admission
from podkeeper.registry.cache.joined import JoinedLists
from podkeeper.registry.cache.mirror import Mirror
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.selectable import FieldLabels
from podkeeper.registry.item import StoredItem
from podkeeper.registry.namespaces import Namespaces
from podkeeper.registry.strategies.base import Strategy
from podkeeper.registry.verbs import Item
from podkeeper.registry.views import ConvertedView, StorageView
from podkeeper.registry.write_locks import WriteLocks
from podkeeper.storage.store import Store


@dataclass(frozen=True)
class Backing:
    """What all resources share."""

    store: Store
    mirror: Mirror
    clock: Clock
    admission: Admission
    namespaces: Namespaces
    joined: JoinedLists = field(default_factory=JoinedLists)
    locks: WriteLocks = field(default_factory=WriteLocks)


@dataclass(frozen=True)
class ServedKind:
    """``resource`` as it is served, ``stored`` as it is kept."""

    resource: Resource
    stored: Resource
    view: StorageView | ConvertedView
    cache: ResourceCache
    strategy: Strategy
    field_labels: FieldLabels
    backing: Backing

    @cached_property
    def stored_class(self) -> type[msgspec.Struct]:
        """The struct class of what is stored; loaded with the first write."""
        return codec.struct_class(self.stored)

    @cached_property
    def served_class(self) -> type[msgspec.Struct]:
        """The struct class of what is served."""
        return codec.struct_class(self.resource)

    @property
    def converted(self) -> bool:
        """Whether the served version is not the stored one."""
        return self.resource is not self.stored

    def show(self, item: StoredItem) -> Item:
        """An item in the served version."""
        return self.view.item(item)

    def newest(self, namespace: str, name: str) -> StoredItem | None:
        """What the cache has now."""
        return self.cache.items.get(self.cache.key(namespace, name))

    def written(self, item: StoredItem) -> StoredItem:
        """The cache's item for one that was just written, so that it is rendered once for all; else ``item``."""
        cached = self.cache.items.get(item.key)
        return cached if cached is not None and cached.revision == item.revision else item
