"""A running registry over a memory store, for what needs one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import settings

from podkeeper.api.user import UserInfo
from podkeeper.registry.admission import Attributes
from podkeeper.registry.assembly import RegistryConfig, StoreRegistry, open_registry
from podkeeper.registry.generic import GenericVerbs
from podkeeper.registry.verbs import PatchType, RequestContext
from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.fake_clock import FakeClock

Tree = dict[str, Any]

# How long an example takes says something about the machine's other work only.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class AdmitsAll:
    """Admission without an opinion."""

    async def mutate(self, attributes: Attributes) -> None:
        pass

    async def validate(self, attributes: Attributes) -> None:
        pass


class Workshop:
    """Short ways to the verbs; trees in, trees out."""

    def __init__(self, registry: StoreRegistry, store: MemoryStore, clock: FakeClock) -> None:
        self.registry, self.store, self.clock = registry, store, clock
        self.context = RequestContext(UserInfo("tester", "u1", ("makers",)))

    def of(self, resource: str, group: str = "", version: str = "v1") -> GenericVerbs:
        verbs = self.registry.verbs(group, version, resource)
        assert verbs is not None
        return verbs

    async def create(self, resource: str, tree: Tree, group: str = "", namespace: str = "default") -> Tree:
        verbs = self.of(resource, group)
        namespace = namespace if verbs.resource.namespaced else ""
        made: Tree = json.loads((await verbs.create(self.context, namespace, tree)).json)
        return made

    async def get(self, resource: str, name: str, group: str = "", subresource: str = "") -> Tree:
        verbs = self.of(resource, group)
        namespace = "default" if verbs.resource.namespaced else ""
        found: Tree = json.loads((await verbs.get(namespace, name, None, subresource)).json)
        return found

    async def patch(self, resource: str, name: str, patch: Any, group: str = "", subresource: str = "") -> Tree:
        verbs = self.of(resource, group)
        namespace = "default" if verbs.resource.namespaced else ""
        item, _ = await verbs.patch(self.context, namespace, name, patch, PatchType.MERGE, subresource)
        changed: Tree = json.loads(item.json)
        return changed


@pytest.fixture
async def shop() -> AsyncIterator[Workshop]:
    store, clock = MemoryStore(), FakeClock()
    registry = await open_registry(store, AdmitsAll(), clock, RegistryConfig("10.96.0.0/28", (30000, 30003)))
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(registry.run(started))
        await started.wait()
        workshop = Workshop(registry, store, clock)
        await workshop.create("namespaces", {"metadata": {"name": "default"}})
        yield workshop
        running.cancel()
