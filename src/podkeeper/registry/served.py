"""One resource in one served version with everything its verbs need, and what all resources share."""

from __future__ import annotations

from functools import cached_property

import msgspec
from msgspec import Struct, field

from podkeeper.api import codec
from podkeeper.api.catalogue import Resource
from podkeeper.api.structural import Version
from podkeeper.foundation.clock import Clock
from podkeeper.registry.admission import Admission
from podkeeper.registry.cache.joined import JoinedLists
from podkeeper.registry.cache.mirror import Mirror
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.selectable import FieldLabels
from podkeeper.registry.custom.conversion import Converters
from podkeeper.registry.custom.view import CustomView
from podkeeper.registry.field_managers import FieldManagers
from podkeeper.registry.item import StoredItem
from podkeeper.registry.namespaces import Namespaces
from podkeeper.registry.strategies.base import Strategy
from podkeeper.registry.timed_store import TimedStore
from podkeeper.registry.verbs import Item
from podkeeper.registry.views import ConvertedView, StorageView


class Backing(Struct, frozen=True):
    """What all resources share."""

    store: TimedStore
    mirror: Mirror
    clock: Clock
    admission: Admission
    namespaces: Namespaces
    joined: JoinedLists = field(default_factory=JoinedLists)
    converters: Converters = field(default_factory=Converters)


class ServedKind(Struct, frozen=True, dict=True):
    """``resource`` as it is served, ``stored`` the version that strategies work in: the one that is kept, but of a
    custom kind the served one. ``version`` is what a definition says of a custom kind."""

    resource: Resource
    stored: Resource
    view: StorageView | ConvertedView | CustomView
    cache: ResourceCache
    strategy: Strategy
    field_labels: FieldLabels
    backing: Backing
    version: Version | None = None

    @property
    def custom(self) -> CustomView | None:
        """The view of a custom resource, which prunes and defaults; None for a built-in one."""
        return self.view if isinstance(self.view, CustomView) else None

    @cached_property
    def stored_class(self) -> type[msgspec.Struct]:
        """The struct class of what is stored; loaded with the first write."""
        return codec.struct_class(self.stored)

    @cached_property
    def served_class(self) -> type[msgspec.Struct]:
        """The struct class of what is served."""
        return codec.struct_class(self.resource)

    @cached_property
    def field_managers(self) -> FieldManagers:
        """Who manages which fields of the objects."""
        return FieldManagers(self)

    @property
    def converted(self) -> bool:
        """Whether strategies work in another version than the one that is served."""
        return self.resource is not self.stored

    @property
    def rendered(self) -> bool:
        """Whether readers see something else than what is stored."""
        return not isinstance(self.view, StorageView)

    def show(self, item: StoredItem) -> Item:
        """An item in the served version."""
        return self.view.item(item)

    async def shown(self, item: StoredItem) -> Item:
        """The same; waits for a conversion where that takes a webhook. Raises ApiError 500 when it fails."""
        if self.custom is not None:
            await self.custom.prepare([item])
        return self.view.item(item)

    def decode(self, value: bytes) -> msgspec.Struct:
        """The struct of stored bytes."""
        return codec.decode(self.stored_class, value)

    def newest(self, namespace: str, name: str) -> StoredItem | None:
        """The newest state that is known without waiting."""
        return self.cache.newest(self.cache.key(namespace, name))

    def base(self, namespace: str, name: str) -> StoredItem | None:
        """What a change builds on: the newest state, unacknowledged writes included. None says nothing."""
        key = self.cache.key(namespace, name)
        known, record = self.cache.newest(key), self.backing.store.newest(key)
        if record is None or (known is not None and known.revision >= record.revision):
            return known
        return self.cache.item_of_draft(record)

    async def present(self, namespace: str, name: str) -> StoredItem | None:
        """The same, but None only if the object is certainly not there."""
        item = self.newest(namespace, name)
        if item is None:
            await self.backing.mirror.wait_until_fresh()
            item = self.newest(namespace, name)
        return item

    def written(self, item: StoredItem, obj: msgspec.Struct) -> StoredItem:
        """Notes an acknowledged write; the one item for it that everybody shares."""
        shared = self.cache.note_written(item)
        shared.adopt(obj)
        return shared
