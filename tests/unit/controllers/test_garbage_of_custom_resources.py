"""The garbage collector with custom objects as owners and as dependents, as their definitions come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podkeeper.api.apiextensions import v1 as apiextensions
from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.structural import define
from podkeeper.controllers.garbage_collector import GarbageCollector

Tree = dict[str, Any]

DEFINITION: Tree = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "towers.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "towers", "kind": "Tower"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
KNOWN = define(DEFINITION)
TOWERS = KNOWN.resource(KNOWN.stored)


def deployment(*owners: Tree) -> Tree:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "ownerReferences": list(owners)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def owner(tree: Tree, **more: Any) -> Tree:
    metadata = tree["metadata"]
    return {
        "apiVersion": tree["apiVersion"],
        "kind": tree["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    } | more


class Towers:
    def __init__(self, house: Any) -> None:
        self._house, self.client = house, house.api.of_resource(TOWERS)

    async def make(self, name: str, *owners: Tree) -> Tree:
        body = {
            "apiVersion": "example.com/v1",
            "kind": "Tower",
            "metadata": {"name": name, "ownerReferences": list(owners)},
        }
        return await self.client.create(body, "default")  # type: ignore[no-any-return]

    async def gone(self, name: str) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    await self.client.get(name, "default")
                except ApiError as error:
                    if error.code == 404:
                        return
                    raise


@pytest.fixture
async def towers(house: Any) -> Towers:
    house.start(GarbageCollector)
    await house.create(DEFINITION)
    made = Towers(house)
    async with asyncio.timeout(20):
        while True:
            try:
                await made.client.list("default")
            except ApiError:
                continue
            return made


@pytest.mark.parametrize("policy", ["", "Background", "Foreground"])
async def test_what_a_custom_object_owns_goes_with_it(house: Any, towers: Towers, policy: str) -> None:
    tower = await towers.make("a")
    await house.create(deployment(owner(tower, blockOwnerDeletion=True, controller=True)))
    await house.until(apps.Deployment, len)
    await towers.client.delete("a", "default", propagation=policy)
    await house.until(apps.Deployment, lambda found: not found)
    await towers.gone("a")


async def test_an_orphan_loses_its_reference_to_a_custom_object(house: Any, towers: Towers) -> None:
    tower = await towers.make("a")
    await house.create(deployment(owner(tower)))
    await house.until(apps.Deployment, len)
    await towers.client.delete("a", "default", propagation="Orphan")
    await towers.gone("a")
    await house.until(apps.Deployment, lambda found: found and not found[0].metadata.owner_references)


async def test_custom_objects_are_dependents_too(house: Any, towers: Towers) -> None:
    built_in = await house.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": built_in.metadata.uid}
    first = await towers.make("first", reference)
    await towers.make("second", owner(first))
    await house.api.of(v1.ConfigMap).delete("owner", "default")
    await towers.gone("first")
    await towers.gone("second")


async def test_what_objects_owned_goes_with_the_definition(house: Any, towers: Towers) -> None:
    tower = await towers.make("a")
    await house.create(deployment(owner(tower)))
    await house.api.of(apiextensions.CustomResourceDefinition).delete("towers.example.com")
    await house.until(apps.Deployment, lambda found: not found)
    await house.until(apiextensions.CustomResourceDefinition, lambda found: not found)


async def test_a_dependent_waits_for_a_kind_that_is_not_known_yet(house: Any) -> None:
    house.start(GarbageCollector)
    absent = {"apiVersion": "example.com/v1", "kind": "Tower", "name": "never", "uid": "0-0"}
    await house.create(deployment(absent))
    await house.until(apps.Deployment, len)
    await house.create(DEFINITION)
    await house.until(apps.Deployment, lambda found: not found)
