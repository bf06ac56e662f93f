"""Keeps the custom resources that are served in step with their definitions.

definition Established  ->  a cache for its objects, a kind for each served version
definition changed      ->  new kinds over the same cache; watches of the old ones end
definition gone         ->  kinds and cache go, watches end
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from podkeeper.api.structural import Definition, define
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.selectable import FieldLabels
from podkeeper.registry.custom.conversion import Conversions
from podkeeper.registry.custom.converting import ConvertingVerbs
from podkeeper.registry.custom.shape import CustomShape, selectable
from podkeeper.registry.custom.strategy import CustomStrategy
from podkeeper.registry.custom.view import CustomView
from podkeeper.registry.generic import GenericVerbs
from podkeeper.registry.keys import resource_prefix
from podkeeper.registry.served import Backing, ServedKind
from podkeeper.registry.verbs import WatchEvent
from podkeeper.storage.store import Record, Store

Tree = dict[str, Any]
KindName = tuple[str, str, str]

#: Where the definitions stand in the store.
DEFINITIONS = "/apiextensions.k8s.io/customresourcedefinitions/"

_PAGE = 2000


def is_established(tree: Tree) -> bool:
    """Whether the resources of a definition are served."""
    conditions = (tree.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Established" and each.get("status") == "True" for each in conditions)


def cache_of(definition: Definition) -> ResourceCache:
    """An empty cache for a definition's objects."""
    prefix = resource_prefix(definition.group, definition.plural)
    return ResourceCache(prefix, CustomShape(definition), definition.namespaced)


def kinds_of(definition: Definition, cache: ResourceCache, backing: Backing) -> Mapping[KindName, ServedKind]:
    """A kind for each served version, the preferred one first."""
    conversions = None if definition.webhook is None else Conversions(definition, backing.converters)
    kinds = {}
    for version in definition.served():
        row = definition.resource(version)
        view = CustomView(definition, version, conversions)
        strategy = CustomStrategy(definition, version)
        labels = FieldLabels(selectable(version), definition.namespaced)
        name = row.group, row.version, row.name
        kinds[name] = ServedKind(row, row, view, cache, strategy, labels, backing, version)
    return kinds


def verbs_of(kind: ServedKind) -> GenericVerbs:
    """The verbs of a custom kind."""
    view = kind.custom
    if view is None or view.conversions is None:
        return GenericVerbs(kind)
    return ConvertingVerbs(kind, view, view.conversions)


class Registrar:
    """Follows the definitions. ``publish`` is called with all custom kinds whenever they have changed."""

    def __init__(self, backing: Backing, publish: Callable[[Mapping[KindName, ServedKind]], None]) -> None:
        self._backing, self._publish = backing, publish
        self._served: dict[str, tuple[Tree, ResourceCache, Mapping[KindName, ServedKind]]] = {}
        self._pending: asyncio.Queue[tuple[str, Tree | None]] = asyncio.Queue()

    def serve(self, tree: Tree, cache: ResourceCache) -> None:
        """Serves a definition over a cache that is filled already, or will be before anything is asked."""
        kinds = kinds_of(define(tree), cache, self._backing)
        self._served[tree["metadata"]["name"]] = (_essence(tree), cache, kinds)
        self._announce()

    def note(self, events: Sequence[WatchEvent]) -> None:
        """A sink for changes of definitions; ``run`` works on them."""
        for event in events:
            if event.item is not None:
                tree = event.item.tree()
                present = event.type != "DELETED" and is_established(tree)
                self._pending.put_nowait((event.item.name, tree if present else None))

    async def run(self) -> None:
        """Works on noted changes, in order, until cancelled; watches that wait for conversions end with it."""
        async with asyncio.TaskGroup() as self._backing.converters.tasks:
            while True:
                name, tree = await self._pending.get()
                if tree is None:
                    self._withdraw(name)
                else:
                    await self._renew(name, tree)

    async def _renew(self, name: str, tree: Tree) -> None:
        known = self._served.get(name)
        if known is None:
            cache = cache_of(define(tree))
            await self._load(cache)
            self._backing.mirror.add(cache)
            self.serve(tree, cache)
        elif known[0] != _essence(tree):
            cache = known[1]
            cache.shape = CustomShape(define(tree))
            self.serve(tree, cache)
            cache.watches.end_all()

    def _withdraw(self, name: str) -> None:
        known = self._served.pop(name, None)
        if known is not None:
            self._backing.mirror.remove(known[1])
            self._announce()
            known[1].watches.end_all()

    async def _load(self, cache: ResourceCache) -> None:
        """What a definition of that name has left in the store; nothing writes there while it is not served."""
        async for record in records(self._backing.store, cache.prefix):
            cache.load(record)

    def _announce(self) -> None:
        self._publish({name: kind for _, _, kinds in self._served.values() for name, kind in kinds.items()})


async def records(store: Store, prefix: str) -> AsyncIterator[Record]:
    """Everything below a prefix, in key order, as of one revision."""
    page = await store.range(prefix, limit=_PAGE)
    while True:
        for record in page.records:
            yield record
        if not page.remaining:
            return
        page = await store.range(prefix, after=page.records[-1].key, limit=_PAGE, revision=page.revision)


def _essence(tree: Tree) -> Tree:
    """What of a definition matters to those who serve it."""
    names = (tree.get("status") or {}).get("acceptedNames")
    return {"spec": tree["spec"], "names": names, "terminating": "deletionTimestamp" in tree["metadata"]}
