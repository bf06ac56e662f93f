"""A running registry for the suites of its contract, and what they ask of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.registry.admission import Attributes
from podkeeper.registry.assembly import StoreRegistry
from podkeeper.registry.generic import GenericVerbs
from podkeeper.registry.verbs import (
    Item,
    PatchType,
    RequestContext,
    WatchEvent,
)
from podkeeper.storage.store import Store
from podkeeper.testing.fake_clock import FakeClock

Tree = dict[str, Any]


class AdmitsAll:
    """Admission that records what it is asked, and refuses names that begin with ``refused``."""

    def __init__(self) -> None:
        self.mutated: list[Attributes] = []
        self.validated: list[Attributes] = []

    async def mutate(self, attributes: Attributes) -> None:
        self.mutated.append(attributes)

    async def validate(self, attributes: Attributes) -> None:
        self.validated.append(attributes)
        if attributes.name.startswith("refused"):
            raise ApiError(403, "Forbidden", "refused by the test")


class House:
    """A running registry and what a test needs around it."""

    def __init__(self, registry: StoreRegistry, store: Store, clock: FakeClock, admission: AdmitsAll) -> None:
        self.registry, self.store, self.clock, self.admission = registry, store, clock, admission
        self.context = RequestContext(UserInfo("tester", groups=("makers",)))

    def of(self, resource: str, group: str = "", version: str = "v1") -> GenericVerbs:
        verbs = self.registry.verbs(group, version, resource)
        assert verbs is not None
        return verbs

    async def create(self, resource: str, tree: Tree, namespace: str = "default", group: str = "") -> Tree:
        return tree_of(await self.of(resource, group).create(self.context, namespace, tree))

    async def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        *,
        group: str = "",
        subresource: str = "",
        namespace: str = "default",
    ) -> Tree:
        verbs = self.of(resource, group)
        item, _ = await verbs.patch(self.context, namespace, name, patch, PatchType.MERGE, subresource)
        return tree_of(item)


def tree_of(item: Item) -> Tree:
    tree: Tree = json.loads(item.json)
    return tree


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Tree:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def pod(name: str, **spec: Any) -> Tree:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


class Events:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[WatchEvent] = []
        self.closed = False
        self._arrived = asyncio.Event()

    def __call__(self, events: Sequence[WatchEvent]) -> None:
        self.seen.extend(events)
        self._arrived.set()

    def close(self) -> None:
        self.closed = True

    async def wait_for(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the first ``count`` events."""
        async with asyncio.timeout(10):
            while len(self.seen) < count:
                self._arrived.clear()
                await self._arrived.wait()
        assert len(self.seen) == count
        return [(event.type, event.item.name if event.item else "") for event in self.seen]


async def refusal(code: int, work: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await work
    assert caught.value.code == code, caught.value.status()
    return caught.value
