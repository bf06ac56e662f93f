"""The watch cache against a model: random histories of a store, selections, and watches that begin anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.selectors import fields as field_selectors
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.registry.cache.mirror import Mirror
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.selectable import head_reader
from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.cache.watching import Bookmark, Subscriber, initial, replay
from podkeeper.registry.item import Shape, StoredItem
from podkeeper.registry.keys import object_key, resource_prefix
from podkeeper.registry.verbs import WatchEvent
from podkeeper.storage.memory import MemoryStore

PODS, NODES = resource_prefix("", "pods"), resource_prefix("", "nodes")


class View:
    api_version, kind = "v1", "Pod"

    def item(self, stored: StoredItem) -> StoredItem:
        return stored


VIEW = View()


@dataclass(frozen=True)
class Write:
    """One change: of a pod with these labels on that node, or its deletion (color None)."""

    namespace: str
    name: str
    color: str | None
    node: str


WRITES = st.builds(
    Write,
    st.sampled_from(["a", "a-b", "b"]),
    st.sampled_from(["p", "q", "r"]),
    st.none() | st.sampled_from(["red", "blue"]),
    st.sampled_from(["", "n1", "n2"]),
)
SELECTIONS = st.builds(
    Selection,
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["", "color=red", "color!=red", "color in (red,blue)", "!color", "color"]).map(
        label_selectors.parse
    ),
    st.sampled_from(
        ["", "metadata.name=p", "metadata.name!=p", "spec.nodeName=n1", "spec.nodeName=", "metadata.namespace=a"]
    ).map(field_selectors.parse),
)


def body(write: Write) -> bytes:
    labels = f'"labels":{{"color":"{write.color}"}},' if write.color != "blue" else ""
    return (
        f'{{"apiVersion":"v1","kind":"Pod","metadata":{{{labels}"name":"{write.name}","namespace":"{write.namespace}"}},'
        f'"spec":{{"nodeName":"{write.node}"}}}}'
    ).encode()


class Model:
    """What the pods are at every revision, kept as plainly as can be."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, Write]] = {0: {}}

    def note(self, revision: int, key: str, write: Write | None) -> None:
        state = dict(self.states[max(self.states)])
        if write is None:
            state.pop(key)
        else:
            state[key] = write
        self.states[revision] = state

    def selected(self, revision: int, selection: Selection) -> list[str]:
        return sorted(key for key, write in self.states[revision].items() if chosen(selection, write))


def chosen(selection: Selection, write: Write) -> bool:
    labels = {"color": write.color or ""} if write.color != "blue" else {}
    fields = {"metadata.name": write.name, "metadata.namespace": write.namespace, "spec.nodeName": write.node}
    in_namespace = not selection.namespace or selection.namespace == write.namespace
    return in_namespace and selection.labels.matches(labels) and selection.fields.matches(fields)


@dataclass
class Follower:
    """A client that folds a watch into a set of objects, as a reflector does."""

    selection: Selection
    objects: dict[str, bytes] = field(default_factory=dict)
    revision: int = 0

    def __call__(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if isinstance(event, Bookmark):
                assert event.revision >= self.revision
                continue
            assert event.item is not None
            key, shown = event.item.key, json.loads(event.frame)
            assert event.item.revision > self.revision
            self.revision = event.item.revision
            assert shown["object"]["metadata"]["resourceVersion"] == str(self.revision)
            if event.type == "ADDED":
                assert key not in self.objects
            else:
                assert key in self.objects
            if event.type == "DELETED":
                del self.objects[key]
            else:
                self.objects[key] = event.item.json


async def settle(store: MemoryStore, mirror: Mirror) -> None:
    await mirror.wait_until_fresh()
    assert mirror.revision == store.revision


async def apply(store: MemoryStore, model: Model, write: Write) -> None:
    key = object_key(PODS, write.namespace, write.name)
    present = await store.get(key)
    if write.color is None:
        if present is not None:
            model.note(await store.delete(key, present.revision), key, None)
    elif present is None:
        model.note(await store.create(key, body(write)), key, write)
    else:
        model.note(await store.update(key, body(write), present.revision), key, write)


def caches() -> list[ResourceCache]:
    shape = Shape("v1", "Pod", head_reader(("", "pods")))
    return [
        ResourceCache(PODS, shape, True),
        ResourceCache(NODES, Shape("v1", "Node", head_reader(("", "nodes"))), False),
    ]


async def run_history(before: list[Write], after: list[Write], selection: Selection, resume_from: int) -> None:
    store, model = MemoryStore(), Model()
    for write in before:
        await apply(store, model, write)
    pods, nodes = caches()
    mirror = Mirror(store, [pods, nodes])
    await mirror.load()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(mirror.run())
        await mirror.wait_until_backfilled()
        follower = Follower(selection)
        follower(initial(VIEW, sorted(pods.select(selection), key=lambda item: item.revision)))
        follower.revision = mirror.revision
        pods.watches.add(VIEW, selection, Subscriber(follower, lambda: None))
        for index, write in enumerate(after):
            await apply(store, model, write)
            if index % 3 == 0:
                await settle(store, mirror)
        await settle(store, mirror)
        now = max(model.states)
        expected = model.selected(now, selection)
        assert [item.key for item in pods.select(selection)] == expected
        assert sorted(follower.objects) == expected
        assert follower.objects == {key: pods.items[key].json for key in expected}
        check_resume(model, pods, selection, resume_from % (now + 1))
        check_pages(pods, selection, expected)
        following.cancel()


def check_resume(model: Model, pods: ResourceCache, selection: Selection, since: int) -> None:
    """Who has the state at ``since`` and what came after has the present state."""
    assert since >= pods.window.since
    late = Follower(selection, dict.fromkeys(model.selected(since, selection), b""), since)
    late(replay(VIEW, selection, pods.window.after(since)))
    assert sorted(late.objects) == model.selected(max(model.states), selection)


def check_pages(pods: ResourceCache, selection: Selection, expected: list[str]) -> None:
    found: list[str] = []
    while page := pods.select(selection, found[-1] if found else "", 2):
        assert len(page) <= 2
        found += [item.key for item in page]
    assert found == expected
    in_namespace = [
        key for key in pods.keys if not selection.namespace or key.startswith(f"{PODS}{selection.namespace}/")
    ]
    assert pods.count(selection.namespace) == len(in_namespace)


@settings(max_examples=150, deadline=None)
@given(st.lists(WRITES, max_size=12), st.lists(WRITES, max_size=25), SELECTIONS, st.integers(0, 1000))
def test_histories(before: list[Write], after: list[Write], selection: Selection, resume_from: int) -> None:
    asyncio.run(run_history(before, after, selection, resume_from))


@settings(max_examples=30, deadline=None)
@given(st.lists(WRITES, min_size=1, max_size=30), st.lists(SELECTIONS, min_size=2, max_size=6))
def test_many_watches_see_their_own_part(writes: list[Write], selections: list[Selection]) -> None:
    async def run() -> None:
        store, model = MemoryStore(), Model()
        pods, nodes = caches()
        mirror = Mirror(store, [pods, nodes])
        await mirror.load()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(mirror.run())
            followers = [Follower(selection) for selection in selections]
            watches = [pods.watches.add(VIEW, each.selection, Subscriber(each, lambda: None)) for each in followers]
            assert pods.watches.count == len(followers)
            for write in writes:
                await apply(store, model, write)
            await settle(store, mirror)
            for follower in followers:
                assert sorted(follower.objects) == model.selected(max(model.states), follower.selection)
            for watch in watches:
                watch.stop()
            assert pods.watches.count == 0
            following.cancel()

    asyncio.run(run())


async def test_the_namespace_a_does_not_hold_what_is_in_a_b() -> None:
    """'-' sorts before '/', so the keys of namespace "a-b" stand before those of "a"."""
    store, (pods, nodes) = MemoryStore(), caches()
    for namespace in ("a", "a-b", "a0", "ab"):
        write = Write(namespace, "p", "red", "")
        await store.create(object_key(PODS, namespace, "p"), body(write))
    await Mirror(store, [pods, nodes]).load()
    found: dict[str, Any] = {
        ns: [item.namespace for item in pods.select(Selection(ns))] for ns in ("a", "a-b", "a0", "c")
    }
    assert found == {"a": ["a"], "a-b": ["a-b"], "a0": ["a0"], "c": []}
