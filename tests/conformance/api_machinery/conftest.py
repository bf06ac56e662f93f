"""Custom resource definitions as upstream's fixtures make them: random names, kinds in lower case, any content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import pytest_asyncio

from podkeeper.testing.raw_client import RawClient, Reply

Tree = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING: Tree = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NUMBERS = count(1)


class Definition:
    """A definition that is established, and the way to its objects."""

    def __init__(self, api: RawClient, tree: Tree) -> None:
        self.api, self.tree = api, tree
        self.name: str = tree["metadata"]["name"]
        spec = tree["spec"]
        self.group: str = spec["group"]
        self.plural: str = spec["names"]["plural"]
        self.kind: str = spec["names"]["kind"]
        self.at = f"{DEFINITIONS}/{self.name}"

    def path(self, version: str = "v1beta1", namespace: str = "") -> str:
        """Where its objects are."""
        where = f"namespaces/{namespace}/" if namespace else ""
        return f"/apis/{self.group}/{version}/{where}{self.plural}"

    def made(self, name: str, version: str = "v1beta1", **content: Any) -> Tree:
        """An object of it, not created yet."""
        return {
            "apiVersion": f"{self.group}/{version}",
            "kind": self.kind,
            "metadata": {"name": name},
        } | content

    async def patch(self, *steps: Tree) -> Reply:
        """A JSON patch of the definition."""
        reply = await self.api("PATCH", self.at, list(steps), content_type="application/json-patch+json")
        assert reply.status == 200, reply.body
        return reply

    async def delete(self) -> None:
        """Deletes it and waits until it is gone."""
        reply = await self.api("DELETE", self.at)
        assert reply.status == 200, reply.body
        await self.api.until(self.at, lambda reply: reply.status == 404)


Define = Callable[..., Awaitable[Definition]]


def version(name: str = "v1beta1", schema: Tree = ANYTHING, storage: bool = True, **more: Any) -> Tree:
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}} | more


@pytest_asyncio.fixture(loop_scope="module")
async def define(api: RawClient) -> AsyncIterator[Define]:
    """``await define(schema, version(...), ..., group=, scope=, labels=, names=)``: definitions that go at the end."""
    kept: list[Definition] = []

    async def make(*versions: Tree, group: str = "mygroup.example.com", **more: Any) -> Definition:
        name = f"e2e-test-{next(_NUMBERS)}-crd"
        names = {"plural": f"{name}s", "singular": name, "kind": name, "listKind": f"{name}List"}
        names |= more.pop("names", {})
        labels = more.pop("labels", {})
        spec = {"group": group, "scope": "Cluster", "names": names, "versions": list(versions or [version()])} | more
        tree = {"metadata": {"name": f"{names['plural']}.{group}", "labels": labels}, "spec": spec}
        made = await api("POST", DEFINITIONS, tree)
        assert made.status == 201, made.body
        found = Definition(api, made.tree)
        kept.append(found)
        await api.until(found.at, _established)
        for each in spec["versions"]:
            if each["served"]:
                await api.until(f"/apis/{group}/{each['name']}", lambda reply: names["plural"].encode() in reply.body)
        return found

    yield make
    for each in kept:
        if (await api("GET", each.at)).status == 200:
            await each.delete()


def _established(reply: Reply) -> bool:
    conditions = reply.tree.get("status", {}).get("conditions", ())
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


@pytest_asyncio.fixture(loop_scope="session")
async def make_version() -> Callable[..., Tree]:
    return version
