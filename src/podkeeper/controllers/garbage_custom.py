"""Custom resources as the garbage collector follows them: by the definitions, and only their metadata.

definition Established  -> an informer of its objects' metadata
other versions or names -> another informer
definition gone         -> the informer ends; what it still had is gone
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api import codec
from podkeeper.api.apiextensions import v1 as apiextensions
from podkeeper.api.catalogue import Resource
from podkeeper.api.meta import v1 as meta
from podkeeper.api.structural import define
from podkeeper.client.api import Api, ObjectList, ResourceClient, WatchEvent
from podkeeper.client.informer import Informer, InformerFactory, Lister

Tree = dict[str, Any]
Handler = Callable[["Held | None", "Held | None"], None]


class Held(msgspec.Struct, frozen=True):
    """A custom object, of which nothing but the metadata is kept."""

    resource: Resource
    metadata: meta.ObjectMeta


class MetadataClient:
    """Lists and watches one custom resource; the part of ``ResourceClient`` that informers use."""

    def __init__(self, api: Api, resource: Resource) -> None:
        self._objects, self._resource = api.of_resource(resource), resource

    def __repr__(self) -> str:
        return f"<MetadataClient of {self._resource.qualified_name}>"

    async def list(self, namespace: str = "", **options: Any) -> ObjectList[Held]:
        """See ``ResourceClient.list``."""
        found = await self._objects.list(namespace, **options)
        return ObjectList([self._held(tree) for tree in found.items], found.resource_version, found.continuation)

    async def watch(self, namespace: str = "", **options: Any) -> AsyncIterator[WatchEvent[Held]]:
        """See ``ResourceClient.watch``."""
        async with aclosing(cast(Any, self._objects.watch(namespace, **options))) as events:
            async for event in events:
                shown = None if event.object is None else self._held(event.object)
                yield WatchEvent(event.type, shown, event.resource_version)

    def _held(self, tree: Tree) -> Held:
        return Held(self._resource, msgspec.convert(tree["metadata"], meta.ObjectMeta))


class Followed(Struct, frozen=True):
    """One custom resource: a row for each served version, the followed one first."""

    uid: str
    rows: tuple[Resource, ...]
    informer: Informer[Held]


class CustomKinds:
    """What is followed now. A ``framework.Source`` of the changes of all custom objects.

    ``index`` is filed by the UIDs of owners. ``appeared`` is called with the rows of a resource that was not there.
    """

    def __init__(self, api: Api, informers: InformerFactory, index: str) -> None:
        self._api, self._informers, self._index = api, informers, index
        self._followed: dict[str, Followed] = {}
        self._handlers: list[Handler] = []

    def add_handler(self, handler: Handler) -> None:
        """Called for every change of a custom object from now on, whatever comes to be followed."""
        self._handlers.append(handler)

    async def wait_for_sync(self) -> None:
        """Those that are followed so far may be far from their first list: nobody has to wait for them."""

    def listers(self) -> Iterator[Lister[Held]]:
        """The local copies."""
        return (each.informer.lister for each in self._followed.values())

    def lister(self, qualified_name: str) -> Lister[Held] | None:
        """The local copy of a resource."""
        known = self._followed.get(qualified_name)
        return None if known is None else known.informer.lister

    def resource(self, group: str, version: str, kind: str) -> Resource | None:
        """The row of a kind in a version that is served."""
        for each in self._followed.values():
            for row in each.rows:
                if (row.group, row.version, row.kind) == (group, version, kind):
                    return row
        return None

    def follow(self, definition: apiextensions.CustomResourceDefinition) -> tuple[Resource, ...]:
        """Takes in a state of a definition. Returns the rows of a resource that was not followed before."""
        name, rows = definition.metadata.name, _rows(definition)
        known = self._followed.get(name)
        if known is not None and known.uid == definition.metadata.uid and _same(known.rows, rows):
            return ()
        if known is not None:
            self._end(name, gone=known.uid != definition.metadata.uid)
        if not rows:
            return ()
        client = cast(ResourceClient[Held], MetadataClient(self._api, rows[0]))
        informer = self._informers.informer_over(client)
        informer.add_index(self._index, lambda each: [one.uid for one in each.metadata.owner_references])
        informer.add_handler(self._changed)
        self._followed[name] = Followed(definition.metadata.uid, rows, informer)
        return rows

    def forget(self, definition: apiextensions.CustomResourceDefinition) -> None:
        """A definition is gone, and its objects went before it."""
        if definition.metadata.name in self._followed:
            self._end(definition.metadata.name, gone=True)

    def _end(self, name: str, gone: bool) -> None:
        known = self._followed.pop(name)
        self._informers.release(known.informer)
        if gone:
            for held in known.informer.lister.list():
                self._changed(held, None)

    def _changed(self, old: Held | None, new: Held | None) -> None:
        for handler in self._handlers:
            handler(old, new)


def _rows(definition: apiextensions.CustomResourceDefinition) -> tuple[Resource, ...]:
    """The served versions, the preferred one first; none while the definition is not established."""
    conditions = definition.status.conditions if definition.status else ()
    if not any(each.type == "Established" and each.status == "True" for each in conditions):
        return ()
    known = define(codec.to_tree(definition))
    # Schemas are of no use here, and large.
    return tuple(replace(known.resource(each), schema=None, columns=()) for each in known.served())


def _same(some: tuple[Resource, ...], others: tuple[Resource, ...]) -> bool:
    return [(row.version, row.kind) for row in some] == [(row.version, row.kind) for row in others]
