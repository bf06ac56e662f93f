"""``client.api`` over HTTP against a whole API server in this event loop: what each side believes of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.resources import for_type
from podkeeper.client.api import PatchKind, ResourceClient
from podkeeper.client.config import ClientConfig
from podkeeper.client.events import EventRecorder
from podkeeper.client.informer import InformerFactory
from podkeeper.client.leader import ElectionConfig, LeaderElector
from podkeeper.client.reflector import Selection
from podkeeper.client.rest import RestApi
from podkeeper.foundation.clock import SystemClock
from podkeeper.testing.api_server import TestServer, running_api_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    async with asyncio.timeout(60), running_api_server(tmp_path) as running:
        yield running


@pytest.fixture
async def api(server: TestServer) -> AsyncIterator[RestApi]:
    pair = server.client_pair("tester", ("system:masters",))
    config = ClientConfig(
        server.url,
        ca=server.authority.certificate_pem(),
        certificate=pair.certificate.read_bytes(),
        key=pair.key.read_bytes(),
    )
    made = RestApi(config, name="tester")
    yield made
    await made.close()


@pytest.fixture
def maps(api: RestApi) -> ResourceClient[v1.ConfigMap]:
    return api.of(v1.ConfigMap)


def config_map(name: str, **data: str) -> v1.ConfigMap:
    return v1.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default", labels={"app": name}), data=data)


async def test_an_object_from_creation_to_deletion(maps: ResourceClient[v1.ConfigMap]) -> None:
    created = await maps.create(config_map("a", colour="red"))
    assert created.metadata.uid
    assert await maps.get("a", "default") == created
    changed = await maps.update(msgspec.structs.replace(created, data={"colour": "blue"}))
    assert changed.metadata.resource_version != created.metadata.resource_version
    with pytest.raises(ApiError) as stale:
        await maps.update(created)
    assert (stale.value.code, stale.value.reason) == (409, "Conflict")
    with pytest.raises(ApiError) as present:
        await maps.create(config_map("a"))
    assert (present.value.code, present.value.reason, present.value.name) == (409, "AlreadyExists", "a")
    with pytest.raises(ApiError) as guarded:
        await maps.delete("a", "default", uid="another")
    assert guarded.value.code == 409
    await maps.delete("a", "default", uid=created.metadata.uid)
    with pytest.raises(ApiError) as gone:
        await maps.get("a", "default")
    assert (gone.value.code, gone.value.kind, gone.value.name) == (404, "configmaps", "a")


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (PatchKind.MERGE, {"data": {"colour": "blue", "size": None}}),
        (PatchKind.STRATEGIC, {"data": {"colour": "blue", "size": None}}),
        (
            PatchKind.JSON,
            [{"op": "replace", "path": "/data/colour", "value": "blue"}, {"op": "remove", "path": "/data/size"}],
        ),
    ],
)
async def test_patches(maps: ResourceClient[v1.ConfigMap], kind: PatchKind, patch: object) -> None:
    await maps.create(config_map("a", colour="red", size="1"))
    patched = await maps.patch("a", patch, "default", kind=kind)
    assert patched.data == {"colour": "blue"}


async def test_lists_in_pages_and_by_selector(maps: ResourceClient[v1.ConfigMap]) -> None:
    for number in range(5):
        await maps.create(config_map(f"m{number}"))
    first = await maps.list("default", limit=2)
    assert first.continuation
    rest = await maps.list("default", limit=10, continuation=first.continuation)
    assert rest.continuation == ""
    names = [each.metadata.name for each in [*first.items, *rest.items]]
    assert [name for name in names if name.startswith("m")] == [f"m{number}" for number in range(5)]
    selected = await maps.list(label_selector="app in (m1, m3)")
    assert [each.metadata.name for each in selected.items] == ["m1", "m3"]
    named = await maps.list(field_selector="metadata.name=m4")
    assert [each.metadata.name for each in named.items] == ["m4"]


async def test_a_watch_resumes_from_a_version(maps: ResourceClient[v1.ConfigMap]) -> None:
    first = await maps.create(config_map("a"))
    second = await maps.update(msgspec.structs.replace(first, data={"x": "y"}))
    await maps.delete("a", "default")
    seen = []
    async for event in maps.watch("default", resource_version=first.metadata.resource_version, timeout=1):
        if event.object is not None:
            seen.append((event.type, event.object.data.get("x")))
    assert seen == [("MODIFIED", "y"), ("DELETED", "y")]
    assert int(second.metadata.resource_version) > int(first.metadata.resource_version)


async def test_trees_and_structs_are_the_same_objects(api: RestApi, maps: ResourceClient[v1.ConfigMap]) -> None:
    trees = api.of_resource(for_type(v1.ConfigMap))
    created = await trees.create({"metadata": {"name": "t", "namespace": "default"}, "data": {"a": "b"}})
    assert (created["kind"], created["apiVersion"]) == ("ConfigMap", "v1")
    struct = await maps.get("t", "default")
    assert struct.data == {"a": "b"}
    (listed,) = (await trees.list("default", field_selector="metadata.name=t")).items
    assert listed == created


async def test_informers_see_what_is_written(api: RestApi, maps: ResourceClient[v1.ConfigMap]) -> None:
    factory = InformerFactory(api, SystemClock())
    informer = factory.informer(v1.ConfigMap, Selection(namespace="default", label_selector="app"))
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    informer.add_handler(
        lambda old, new: changes.put_nowait(("" if old is None else "was", new.metadata.name if new else ""))
    )
    await maps.create(config_map("early"))
    running = asyncio.create_task(factory.run())
    await factory.wait_for_sync()
    assert await changes.get() == ("", "early")
    late = await maps.create(config_map("late"))
    assert await changes.get() == ("", "late")
    await maps.update(msgspec.structs.replace(late, data={"x": "y"}))
    assert await changes.get() == ("was", "late")
    await maps.delete("early", "default")
    assert await changes.get() == ("was", "")
    assert [each.metadata.name for each in informer.lister] == ["late"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_events_are_counted_up(api: RestApi) -> None:
    recorder = EventRecorder(api, "kubelet", host="node-1")
    running = asyncio.create_task(recorder.run())
    node = v1.Node(metadata=meta.ObjectMeta(name="node-1", uid="u"))
    for _ in range(3):
        recorder.event(node, "Normal", "Starting", "Starting kubelet.")
    recorder.event(node, "Warning", "Other", "Something else")
    await recorder.flush()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    events = (await api.of(v1.Event).list("default", field_selector="involvedObject.name=node-1")).items
    assert sorted((event.reason, event.count) for event in events) == [("Other", 1), ("Starting", 3)]


async def test_a_lease_is_led_and_handed_over(api: RestApi) -> None:
    order: list[str] = []

    async def lead(name: str) -> None:
        order.append(name)

    for name in ("one", "two"):
        elector = LeaderElector(api, ElectionConfig("house", name), SystemClock())
        await elector.run(lambda name=name: lead(name))  # type: ignore[misc]
    assert order == ["one", "two"]
    lease = await api.of(coordination.Lease).get("house", "kube-system")
    assert (lease.spec.holder_identity or "", lease.spec.lease_transitions) == ("", 1)


async def test_wrong_and_missing_credentials(server: TestServer) -> None:
    ca = server.authority.certificate_pem()
    anonymous, wrong = RestApi(ClientConfig(server.url, ca=ca)), RestApi(ClientConfig(server.url, ca=ca, token="no"))
    with pytest.raises(ApiError) as forbidden:
        await anonymous.of(v1.Pod).list()
    assert (forbidden.value.code, forbidden.value.reason) == (403, "Forbidden")
    with pytest.raises(ApiError) as unauthorized:
        await wrong.of(v1.Pod).list()
    assert (unauthorized.value.code, unauthorized.value.reason) == (401, "Unauthorized")
    admin = RestApi(ClientConfig(server.url, ca=ca, token=server.admin_token))
    await admin.of(v1.Pod).list()
    for client in (anonymous, wrong, admin):
        await client.close()
