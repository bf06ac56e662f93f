"""Watchers: selectors, versions to begin at, selectors that no longer match, one order for all."""

from __future__ import annotations

import asyncio
from itertools import cycle
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.testing.raw_client import RawClient, RawWatch

pytestmark = pytest.mark.asyncio(loop_scope="module")

LABEL = "watch-this-configmap"
A, B = "multiple-watchers-A", "multiple-watchers-B"


class Maps:
    """ConfigMaps of a namespace, and watches of them."""

    def __init__(self, api: RawClient, namespace: str) -> None:
        self.api, self.path = api, f"/api/v1/namespaces/{namespace}/configmaps"

    async def create(self, name: str, label: str) -> str:
        """Returns its version, as ``change`` does."""
        made = await self.api("POST", self.path, {"metadata": {"name": name, "labels": {LABEL: label}}})
        assert made.status == 201, made.body
        return str(made.tree["metadata"]["resourceVersion"])

    async def change(self, name: str, mutation: int, label: str | None = None) -> str:
        found = (await self.api("GET", f"{self.path}/{name}")).tree
        found["data"] = {"mutation": str(mutation)}
        if label is not None:
            found["metadata"]["labels"][LABEL] = label
        changed = await self.api("PUT", f"{self.path}/{name}", found)
        assert changed.status == 200, changed.body
        return str(changed.tree["metadata"]["resourceVersion"])

    async def delete(self, name: str) -> None:
        assert (await self.api("DELETE", f"{self.path}/{name}")).status == 200

    async def watch(self, *labels: str, version: str = "") -> RawWatch:
        selector = f"{LABEL}%20in%20({','.join(labels)})"
        return await self.api.watch(f"{self.path}?watch=true&labelSelector={selector}&resourceVersion={version}")


@pytest_asyncio.fixture(loop_scope="module")
async def maps(api: RawClient, namespace: Any) -> Maps:
    return Maps(api, await namespace())


async def told(watch: RawWatch) -> tuple[str, str, str]:
    """Type, name and mutation of the next event."""
    event = await watch.next()
    tree = event["object"]
    return event["type"], tree["metadata"]["name"], tree.get("data", {}).get("mutation", "")


async def test_watchers_see_what_their_selector_matches_and_nothing_else(maps: Maps) -> None:
    only_a, only_b, both = await maps.watch(A), await maps.watch(B), await maps.watch(A, B)
    await maps.create("a", A)
    for watch in (only_a, both):
        assert await told(watch) == ("ADDED", "a", "")
    for mutation in (1, 2):
        await maps.change("a", mutation)
        for watch in (only_a, both):
            assert await told(watch) == ("MODIFIED", "a", str(mutation))
    await maps.delete("a")
    for watch in (only_a, both):
        assert await told(watch) == ("DELETED", "a", "2")
    await maps.create("b", B)
    await maps.delete("b")
    for watch in (only_b, both):
        assert [await told(watch), await told(watch)] == [("ADDED", "b", ""), ("DELETED", "b", "")]
    await maps.create("a", A)
    assert await told(only_a) == ("ADDED", "a", "")
    for watch in (only_a, only_b, both):
        watch.close()


async def test_a_watch_from_a_version_tells_only_of_what_came_later(maps: Maps) -> None:
    await maps.create("m", "from-resource-version")
    first = await maps.change("m", 1)
    await maps.change("m", 2)
    await maps.delete("m")
    watch = await maps.watch("from-resource-version", version=first)
    assert [await told(watch), await told(watch)] == [("MODIFIED", "m", "2"), ("DELETED", "m", "2")]
    watch.close()


async def test_a_watch_goes_on_where_the_one_before_ended(maps: Maps) -> None:
    before = await maps.watch("watch-closed-and-restarted")
    await maps.create("m", "watch-closed-and-restarted")
    await maps.change("m", 1)
    assert await told(before) == ("ADDED", "m", "")
    last = (await before.next())["object"]["metadata"]["resourceVersion"]
    before.close()
    await maps.change("m", 2)
    again = await maps.watch("watch-closed-and-restarted", version=last)
    await maps.delete("m")
    assert [await told(again), await told(again)] == [("MODIFIED", "m", "2"), ("DELETED", "m", "2")]
    again.close()


async def test_an_object_that_no_longer_matches_is_deleted_for_its_watchers(maps: Maps) -> None:
    watch = await maps.watch("label-changed-and-restored")
    await maps.create("m", "label-changed-and-restored")
    await maps.change("m", 1)
    await maps.change("m", 1, label="wrong-value")
    expected = [("ADDED", "m", ""), ("MODIFIED", "m", "1"), ("DELETED", "m", "1")]
    assert [await told(watch) for _ in expected] == expected
    await maps.change("m", 2)
    await maps.change("m", 2, label="label-changed-and-restored")
    await maps.change("m", 3)
    await maps.delete("m")
    expected = [("ADDED", "m", "2"), ("MODIFIED", "m", "3"), ("DELETED", "m", "3")]
    assert [await told(watch) for _ in expected] == expected
    watch.close()


async def test_concurrent_watches_agree_on_order(maps: Maps) -> None:
    async def write() -> None:
        there: set[str] = set()
        for number, deed in enumerate(cycle("ccuduuddcu")):
            name = f"m{number % 5}"
            if name not in there and deed != "d":
                await maps.create(name, "ordered")
                there.add(name)
            elif name in there and deed == "d":
                await maps.delete(name)
                there.remove(name)
            elif name in there:
                await maps.change(name, number)

    version = (await maps.api("GET", maps.path)).tree["metadata"]["resourceVersion"]
    watches: list[RawWatch] = []
    writing = asyncio.create_task(write())
    try:
        for _ in range(40):
            watches.append(await maps.watch("ordered", version=version))
            said = [(await each.next())["object"]["metadata"]["resourceVersion"] for each in watches]
            assert len(set(said)) == 1, said
            version = said[0]
    finally:
        writing.cancel()
        await asyncio.wait([writing])
        for each in watches:
            each.close()


async def test_a_watch_that_begins_with_the_state_is_no_table(maps: Maps) -> None:
    await maps.create("m", "listed")
    path = f"{maps.path}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    refused = await maps.api("GET", path, accept=table)
    assert (refused.status, refused.tree["reason"]) == (406, "NotAcceptable")
    watch = await maps.api.watch(f"{path}&labelSelector={LABEL}%3Dlisted", accept=f"{table},application/json")
    assert await told(watch) == ("ADDED", "m", "")
    end = await watch.next()
    assert (end["type"], end["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    watch.close()
