"""The lister's indexes, late handlers, and informers that are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.resources import for_type
from podkeeper.client.api import ObjectList, WatchEvent
from podkeeper.client.identity import ObjectKey, key_of, version_of, without_managed_fields
from podkeeper.client.informer import Informer, InformerFactory, Lister
from podkeeper.client.reflector import Selection
from podkeeper.testing.fake_clock import FakeClock


def pod(name: str, node: str = "", namespace: str = "default", version: int = 1) -> v1.Pod:
    return v1.Pod(
        metadata=meta.ObjectMeta(name=name, namespace=namespace, resource_version=str(version)),
        spec=v1.PodSpec(node_name=node, containers=()),
    )


def by_node(obj: v1.Pod) -> tuple[str, ...]:
    return (obj.spec.node_name,) if obj.spec.node_name else ()


class QuietClient:
    """Lists what it was given and then watches in silence."""

    def __init__(self, *objects: Any) -> None:
        self.objects = objects

    async def list(self, namespace: str = "", **_: Any) -> ObjectList[Any]:
        return ObjectList(self.objects, "1")

    async def watch(self, namespace: str = "", **_: Any) -> AsyncIterator[WatchEvent[Any]]:
        await asyncio.Event().wait()
        yield WatchEvent("BOOKMARK", None, "")


class QuietApi:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def of(self, kind: type[Any]) -> QuietClient:
        self.asked.append(kind)
        return QuietClient(pod("a")) if kind is v1.Pod else QuietClient()

    def of_resource(self, resource: Any) -> QuietClient:
        self.asked.append(resource.name)
        return QuietClient({"metadata": {"name": "t", "resourceVersion": "1"}})


def test_keys_and_versions_of_structs_and_trees() -> None:
    tree = {"metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"}}
    assert key_of(tree) == ObjectKey("n", "a") == key_of(pod("a", namespace="n"))
    assert (version_of(tree), version_of(pod("a", version=7)), version_of({})) == ("7", "7", "")
    assert (str(ObjectKey("n", "a")), str(ObjectKey("", "node"))) == ("n/a", "node")


def test_an_index_follows_its_objects() -> None:
    lister: Lister[v1.Pod] = Lister()
    lister.put(ObjectKey("default", "early"), pod("early", "one"))
    lister.add_index("node", by_node)
    lister.put(ObjectKey("default", "late"), pod("late", "one"))
    assert [each.metadata.name for each in lister.by_index("node", "one")] == ["early", "late"]
    lister.put(ObjectKey("default", "early"), pod("early", "two"))
    assert [each.metadata.name for each in lister.by_index("node", "one")] == ["late"]
    lister.remove(ObjectKey("default", "late"))
    assert list(lister.by_index("node", "one")) == []
    with pytest.raises(KeyError):
        lister.by_index("colour", "red")
    with pytest.raises(ValueError, match="node"):
        lister.add_index("node", by_node)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"), st.sampled_from(["", "n1", "n2"]), st.sampled_from(["x", "y"]), st.booleans()
        )
    )
)
def test_indexes_equal_a_search(steps: list[tuple[str, str, str, bool]]) -> None:
    lister: Lister[v1.Pod] = Lister()
    lister.add_index("node", by_node)
    model: dict[ObjectKey, v1.Pod] = {}
    for name, node, namespace, remove in steps:
        key = ObjectKey(namespace, name)
        if remove:
            assert lister.remove(key) == model.pop(key, None)
        else:
            obj = pod(name, node, namespace)
            assert lister.put(key, obj) == model.get(key)
            model[key] = obj
    for node in ("n1", "n2"):
        found = {key_of(each) for each in lister.by_index("node", node)}
        assert found == {key for key, each in model.items() if each.spec.node_name == node}
    for namespace in ("x", "y"):
        assert {key_of(each) for each in lister.list(namespace)} == {key for key in model if key.namespace == namespace}
    assert len(lister) == len(lister.list()) == len(model)


async def test_a_late_handler_is_told_of_what_is_there() -> None:
    informer: Informer[v1.Pod] = Informer(QuietClient(pod("a"), pod("b")), FakeClock())  # type: ignore[arg-type]
    task = asyncio.create_task(informer.run())
    await informer.wait_for_sync()
    seen: list[tuple[Any, str]] = []
    informer.add_handler(lambda old, new: seen.append((old, new.metadata.name if new else "")))
    assert seen == [(None, "a"), (None, "b")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_same_version_again_is_no_change() -> None:
    informer: Informer[v1.Pod] = Informer(QuietClient(), FakeClock())  # type: ignore[arg-type]
    seen: list[tuple[v1.Pod | None, v1.Pod | None]] = []
    informer.add_handler(lambda old, new: seen.append((old, new)))
    informer.replace([pod("a", version=1)], "1")
    informer.replace([pod("a", version=1)], "2")
    informer.apply(WatchEvent("MODIFIED", pod("a", version=1), "1"))
    informer.apply(WatchEvent("DELETED", pod("never-seen", version=3), "3"))
    assert seen == [(None, pod("a", version=1))]


async def test_a_factory_shares_informers_and_runs_those_asked_for_later() -> None:
    api = QuietApi()
    factory = InformerFactory(api, FakeClock())  # type: ignore[arg-type]
    pods = factory.informer(v1.Pod)
    assert factory.informer(v1.Pod) is pods
    assert factory.informer(v1.Pod, Selection(namespace="x")) is not pods
    task = asyncio.create_task(factory.run())
    async with asyncio.timeout(5):
        await factory.wait_for_sync()
        assert [each.metadata.name for each in pods.lister] == ["a"]
        nodes = factory.informer(v1.Node)
        trees = factory.informer_of(for_type(v1.Secret))
        assert factory.informer_of(for_type(v1.Secret)) is trees
        await factory.wait_for_sync()
    assert nodes.synced
    assert trees.lister.get("", "t") is not None
    assert api.asked == [v1.Pod, v1.Pod, v1.Node, "secrets"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def test_book_keeping_of_field_managers_is_not_kept() -> None:
    entry = meta.ManagedFieldsEntry(manager="m", operation="Update")
    obj = v1.ConfigMap(metadata=meta.ObjectMeta(name="a", managed_fields=(entry,)), data={"k": "v"})
    trimmed = without_managed_fields(obj)
    assert (trimmed.metadata.managed_fields, trimmed.metadata.name, trimmed.data) == ((), "a", {"k": "v"})
    assert without_managed_fields(trimmed) is trimmed
    tree = {"metadata": {"name": "a", "managedFields": [{}]}, "data": {}}
    assert without_managed_fields(tree) == {"metadata": {"name": "a"}, "data": {}}
    assert "managedFields" in tree["metadata"]
