"""Puts a registry together over a store, and runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct, field

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.api.resources import RESOURCES, lookup
from podkeeper.api.structural import define
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family
from podkeeper.registry.admission import Admission
from podkeeper.registry.cache import figures as cache_figures
from podkeeper.registry.cache.mirror import Mirror
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.selectable import FieldLabels, head_reader
from podkeeper.registry.changing import Target
from podkeeper.registry.conversion import conversion_for
from podkeeper.registry.custom.conversion import Converter
from podkeeper.registry.custom.registrar import DEFINITIONS, Registrar, cache_of, is_established, records, verbs_of
from podkeeper.registry.expiry import EventExpiry
from podkeeper.registry.generic import GenericVerbs
from podkeeper.registry.item import Shape, forget_all_decoded
from podkeeper.registry.keys import resource_prefix
from podkeeper.registry.namespaces import Namespaces
from podkeeper.registry.served import Backing, ServedKind
from podkeeper.registry.storage_versions import is_stored, storage_version
from podkeeper.registry.strategies.table import Strategies
from podkeeper.registry.subresources import binding, eviction
from podkeeper.registry.timed_store import TimedStore
from podkeeper.registry.verbs import ListOptions, RequestContext
from podkeeper.registry.views import ConvertedView, StorageView
from podkeeper.storage.store import Store, StoreError

#: Seconds between bookmarks; upstream's figure.
BOOKMARK_PERIOD = 60.0
#: Seconds that a health check waits; upstream's figure for etcd.
CHECK_PATIENCE = 2.0


class RegistryConfig(Struct, frozen=True):
    """``node_ports`` are the first and the last of the range; ``resources`` what is served (default: what is
    enabled)."""

    service_cidr: str = "10.96.0.0/12"
    node_ports: tuple[int, int] = (30000, 32767)
    resources: tuple[Resource, ...] = field(default_factory=lambda: tuple(row for row in RESOURCES if row.enabled))


class StoreRegistry:
    """Implements ``verbs.Registry`` over one store. ``run`` must be running while it is used."""

    def __init__(self, backing: Backing, kinds: Mapping[tuple[str, str, str], ServedKind], expiry: EventExpiry) -> None:
        self._backing, self._expiry = backing, expiry
        self._kinds = dict(kinds)
        self._own_verbs = {name: GenericVerbs(kind) for name, kind in kinds.items()}
        self._publish({})
        self._custom = Registrar(backing, self._publish)

    def __repr__(self) -> str:
        return f"<StoreRegistry of {len(self._kinds)} resources, {self._backing.mirror!r}>"

    @property
    def revision(self) -> int:
        """The newest revision that reads show."""
        return self._backing.mirror.revision

    def verbs(self, group: str, version: str, resource: str) -> GenericVerbs | None:
        """See ``Registry.verbs``."""
        return self._verbs.get((group, version, resource))

    def resources(self) -> Mapping[tuple[str, str, str], Resource]:
        """See ``Registry.resources``."""
        return self._resources

    async def check_store(self) -> str:
        """See ``Registry.check_store``: reads from it, whatever the caches hold."""
        try:
            async with asyncio.timeout(CHECK_PATIENCE):
                await self._backing.store.range("/namespaces/", limit=1)
        except TimeoutError:
            return f"the store does not answer within {CHECK_PATIENCE} s"
        except StoreError as error:
            return str(error)
        return ""

    async def check_caches(self) -> str:
        """See ``Registry.check_caches``."""
        try:
            async with asyncio.timeout(CHECK_PATIENCE):
                await self._backing.mirror.wait_until_fresh()
        except TimeoutError:
            return f"the caches are at {self.revision}, the store at {self._backing.store.revision}"
        except ApiError as error:
            return error.message
        return ""

    async def bind_pod(self, context: RequestContext, namespace: str, name: str, body: dict[str, Any]) -> None:
        """See ``Registry.bind_pod``."""
        await binding.bind(self._kinds["", "v1", "pods"], context, namespace, name, body)

    async def evict_pod(self, context: RequestContext, namespace: str, name: str, body: dict[str, Any]) -> None:
        """See ``Registry.evict_pod``."""
        budgets = self._kinds["policy", "v1", "poddisruptionbudgets"]
        await eviction.evict(self._kinds["", "v1", "pods"], budgets, context, Target(namespace, name), body)

    def families(self) -> Sequence[Family]:
        """See ``Registry.families``."""
        return (*self._backing.store.families(), *cache_figures.families(self._backing.mirror))

    def connect_converter(self, converter: Converter) -> None:
        """See ``Registry.connect_converter``."""
        self._backing.converters.converter = converter

    def serve_custom(self, definition: dict[str, Any], cache: ResourceCache) -> None:
        """Serves what a definition in the store defines, over a filled cache."""
        self._custom.serve(definition, cache)

    def _publish(self, custom: Mapping[tuple[str, str, str], ServedKind]) -> None:
        """Serves these custom kinds, and none that were there before."""
        self._verbs = self._own_verbs | {name: verbs_of(kind) for name, kind in custom.items()}
        self._resources = MappingProxyType({name: verbs.resource for name, verbs in self._verbs.items()})

    async def run(self, started: asyncio.Event | None = None) -> None:
        """Follows the store, sends bookmarks, expires events; until the store closes or this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            timers = [tasks.create_task(each) for each in (self._tick(), self._expiry.run(), self._custom.run())]
            following = tasks.create_task(self._backing.mirror.run())
            await self._backing.mirror.wait_until_backfilled()
            await self._follow_definitions()
            if started is not None:
                started.set()
            await following
            for timer in timers:
                timer.cancel()

    async def _follow_definitions(self) -> None:
        definitions = self._own_verbs.get(("apiextensions.k8s.io", "v1", "customresourcedefinitions"))
        if definitions is not None:
            await definitions.watch("", ListOptions(), self._custom.note, lambda: None)

    async def _tick(self) -> None:
        """Once a minute: bookmarks out, memory back."""
        mirror, clock = self._backing.mirror, self._backing.clock
        before = mirror.revision
        while True:
            await clock.sleep(BOOKMARK_PERIOD)
            mirror.bookmark()
            mirror.shrink(before)
            self._backing.joined.drop_older(before)
            forget_all_decoded()
            before = mirror.revision


async def open_registry(inner: Store, admission: Admission, clock: Clock, config: RegistryConfig) -> StoreRegistry:
    """Reads the store and returns a registry that answers once ``run`` has started."""
    store = TimedStore(inner)
    caches: dict[str, ResourceCache] = {}
    rows = [row for row in config.resources if is_stored(row)]
    for row in rows:
        stored = _stored(row)
        prefix = resource_prefix(stored.group, stored.name)
        if prefix not in caches:
            shape = Shape(stored.api_version, stored.kind, head_reader((stored.group, stored.name)))
            caches[prefix] = ResourceCache(prefix, shape, stored.namespaced)
    definitions = await _definitions(store, caches)
    custom = [(tree, cache_of(define(tree))) for tree in definitions]
    mirror = Mirror(store, [*caches.values(), *(cache for _, cache in custom)])
    await mirror.load()
    backing = Backing(store, mirror, clock, admission, Namespaces(mirror, caches["/namespaces/"]))
    strategies = Strategies(config.service_cidr, config.node_ports, caches)
    kinds = {(row.group, row.version, row.name): _serve(row, caches, strategies, backing) for row in rows}
    registry = StoreRegistry(backing, kinds, EventExpiry(store, caches["/events/"], clock))
    for tree, cache in custom:
        registry.serve_custom(tree, cache)
    return registry


async def _definitions(store: Store, caches: Mapping[str, ResourceCache]) -> list[dict[str, Any]]:
    """The established definitions in the store, whose objects are to be read along with the others."""
    if DEFINITIONS not in caches:
        return []
    found = [msgspec.json.decode(record.value) async for record in records(store, DEFINITIONS)]
    return [tree for tree in found if is_established(tree)]


def _stored(row: Resource) -> Resource:
    stored = lookup(*storage_version(row), row.name)
    return stored if stored is not None else row


def _serve(row: Resource, caches: Mapping[str, ResourceCache], strategies: Strategies, backing: Backing) -> ServedKind:
    stored, conversion = _stored(row), conversion_for(row)
    cache = caches[resource_prefix(stored.group, stored.name)]
    view = StorageView(row) if conversion is None else ConvertedView(row, stored, cache.shape, conversion)
    labels = FieldLabels.of((row.group, row.name), (stored.group, stored.name), row.namespaced)
    strategy = strategies.of(stored)
    return ServedKind(row, stored, view, cache, strategy, labels, backing)
