"""Fakes for the kubelet's tests: an API in memory, a scripted runtime, and pods in one line."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from podkeeper.api import codec, timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import already_exists, conflict, not_found
from podkeeper.api.meta import v1 as meta
from podkeeper.api.resources import for_type
from podkeeper.client.api import ObjectList, PatchKind, WatchEvent
from podkeeper.foundation.cgroups import CgroupUsage
from podkeeper.kubelet.config import KubeletConfig
from podkeeper.kubelet.kubelet import Kubelet
from podkeeper.kubelet.server.spdy import DICTIONARY
from podkeeper.runtime.cri import ContainerState
from podkeeper.testing.fake_clock import FakeClock
from podkeeper.testing.scripted_runtime import Outcome, ScriptedRuntime


class FakeClient:
    """One resource of a FakeApi."""

    def __init__(self, api: FakeApi, kind: type) -> None:
        self._api, self._kind = api, kind
        self._noun = for_type(kind).name

    def _key(self, namespace: str, name: str) -> tuple[type, str, str]:
        return self._kind, namespace, name

    async def get(self, name: str, namespace: str = "") -> Any:
        try:
            return self._api.objects[self._key(namespace, name)]
        except KeyError:
            raise not_found(self._noun, "", name) from None

    async def list(self, namespace: str = "", *, field_selector: str = "", **_: Any) -> ObjectList[Any]:
        items = [obj for obj in self._api.all(self._kind, namespace) if _matches(obj, field_selector)]
        return ObjectList(items, str(self._api.version))

    async def watch(
        self, namespace: str = "", *, resource_version: str, field_selector: str = "", **_: Any
    ) -> AsyncIterator[WatchEvent[Any]]:
        queue = self._api.subscribe(self._kind)
        for event in [each for each in self._api.history if int(each[3]) > int(resource_version)]:
            queue.put_nowait(event)
        seen = 0
        while True:
            kind, struct, obj, version = await queue.get()
            fits = struct is self._kind and namespace in ("", obj.metadata.namespace) and _matches(obj, field_selector)
            if fits and int(version) > seen:
                seen = int(version)
                yield WatchEvent(kind, obj, version)

    async def create(self, obj: Any, namespace: str = "") -> Any:
        name, space = obj.metadata.name, namespace or obj.metadata.namespace
        if self._key(space, name) in self._api.objects:
            raise already_exists(self._noun, "", name)
        return self._api.put(obj, "ADDED")

    async def update(self, obj: Any, *, subresource: str = "") -> Any:
        return self._api.put(obj, "MODIFIED")

    async def patch(
        self, name: str, patch: Any, namespace: str = "", *, kind: PatchKind = PatchKind.MERGE, subresource: str = ""
    ) -> Any:
        present = await self.get(name, namespace)
        self._api.patches.append((self._noun, name, patch))
        if self._api.on_patch is not None:
            await self._api.on_patch(patch)
        uid = patch.get("metadata", {}).get("uid", "")
        if uid and uid != present.metadata.uid:
            raise conflict(self._noun, "", name, "uid mismatch")
        tree = codec.to_tree(present)
        _merge(tree, patch)
        return self._api.put(codec.from_tree(self._kind, tree), "MODIFIED")

    async def delete(
        self, name: str, namespace: str = "", *, grace_period: int | None = None, uid: str = "", **_: Any
    ) -> None:
        present = await self.get(name, namespace)
        if uid and present.metadata.uid != uid:
            raise conflict(self._noun, "", name, "uid mismatch")
        self._api.deletions.append((self._noun, name, grace_period))
        self._api.drop(self._kind, namespace, name)

    async def connect_create(self, name: str, subresource: str, body: Any, namespace: str = "") -> Any:
        self._api.tokens.append(body)
        expires = self._api.clock.time() + body["spec"]["expirationSeconds"]
        return {
            "status": {
                "token": f"token-{len(self._api.tokens)}",
                "expirationTimestamp": timestamps.format_time(expires),
            }
        }


class FakeApi:
    """Objects in memory with a watch; merge semantics for every patch, conditions by type."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.objects: dict[tuple[type, str, str], Any] = {}
        self.history: list[tuple[str, type, Any, str]] = []
        self.version = 0
        self.patches: list[tuple[str, str, Any]] = []
        self.deletions: list[tuple[str, str, int | None]] = []
        self.tokens: list[Any] = []
        self.on_patch: Callable[[Any], Any] | None = None
        self.allowed: set[str] = set()
        self.reviews: list[Any] = []
        self._queues: dict[type, list[asyncio.Queue[Any]]] = defaultdict(list)

    def of(self, kind: type) -> FakeClient:
        return FakeClient(self, kind)

    def families(self) -> list[Any]:
        return []

    async def request(
        self, method: str, path: str, *, body: bytes = b"", **_: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Reviews: the token knows-me is somebody's, who may what ``allowed`` says."""
        review = json.loads(body)
        spec = review["spec"]
        if review["kind"] == "TokenReview":
            known = spec["token"] == "knows-me"
            status: Any = {"authenticated": known, "user": {"username": "somebody", "groups": ["x"]} if known else {}}
        else:
            status = {"allowed": spec["resourceAttributes"]["subresource"] in self.allowed}
        self.reviews.append(spec)
        return 201, {}, json.dumps({**review, "status": status}).encode()

    def subscribe(self, kind: type) -> asyncio.Queue[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._queues[kind].append(queue)
        return queue

    def all(self, kind: type, namespace: str = "") -> list[Any]:
        return [obj for (each, space, _), obj in self.objects.items() if each is kind and namespace in ("", space)]

    def put(self, obj: Any, event: str = "") -> Any:
        key = (type(obj), obj.metadata.namespace, obj.metadata.name)
        event = event or ("MODIFIED" if key in self.objects else "ADDED")
        self.version += 1
        metadata = msgspec.structs.replace(
            obj.metadata, resource_version=str(self.version), uid=obj.metadata.uid or f"uid-{self.version}"
        )
        obj = msgspec.structs.replace(obj, metadata=metadata)
        self.objects[key] = obj
        self._tell(event, obj)
        return obj

    def drop(self, kind: type, namespace: str, name: str) -> None:
        obj = self.objects.pop((kind, namespace, name))
        self.version += 1
        self._tell("DELETED", obj)

    def _tell(self, event: str, obj: Any) -> None:
        entry = (event, type(obj), obj, str(self.version))
        self.history.append(entry)
        for queue in self._queues[type(obj)]:
            queue.put_nowait(entry)

    def pod(self, name: str = "web", namespace: str = "default") -> v1.Pod:
        found: v1.Pod = self.objects[v1.Pod, namespace, name]
        return found

    def ask_deletion(self, name: str = "web", grace: int = 30) -> None:
        pod = self.pod(name)
        metadata = msgspec.structs.replace(
            pod.metadata,
            deletion_timestamp=timestamps.format_time(self.clock.time() + grace),
            deletion_grace_period_seconds=grace,
        )
        self.put(msgspec.structs.replace(pod, metadata=metadata))


def _matches(obj: Any, selector: str) -> bool:
    for part in filter(None, selector.split(",")):
        path, _, wanted = part.partition("=")
        value = {"metadata.name": obj.metadata.name}.get(path)
        if path == "spec.nodeName":
            value = obj.spec.node_name
        if value != wanted:
            return False
    return True


def _merge(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            tree.pop(key, None)
        elif key == "conditions":
            merged = {each["type"]: each for each in tree.get(key, [])}
            merged |= {each["type"]: {name: entry for name, entry in each.items() if entry} for each in value}
            tree[key] = [each for each in merged.values() if each.get("$patch") != "delete"]
        elif isinstance(value, list):
            tree[key] = [each for each in value if not (isinstance(each, dict) and each.get("$patch"))]
        elif isinstance(value, dict) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value


class FakeCgroups:
    """Remembers which groups exist."""

    def __init__(self) -> None:
        self.groups: dict[str, Any] = {}

    def exists(self, path: str) -> bool:
        return path in self.groups

    def create(self, path: str, limits: Any = None) -> None:
        self.groups[path] = limits

    def apply(self, path: str, limits: Any) -> None:
        self.groups[path] = limits

    def usage(self, path: str) -> CgroupUsage:
        return CgroupUsage(cpu_ns=1, memory_usage=2, memory_working_set=1)

    def children(self, path: str) -> Sequence[str]:
        return [each.rpartition("/")[2] for each in self.groups if each.rpartition("/")[0] == path]

    async def remove(self, path: str) -> None:
        self.groups.pop(path, None)


class FakeEvents:
    """Keeps events as (type, reason, message)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def event(self, involved: v1.ObjectReference, type: str, reason: str, message: str) -> None:
        self.seen.append((type, reason, message))

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.seen]


class Node:
    """One kubelet over fakes. ``settle`` lets everything that can happen now happen; ``pass_time`` moves the clock."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.runtime = ScriptedRuntime(self.clock)
        self.runtime.add_image("app:1")
        self.cgroups, self.events = FakeCgroups(), FakeEvents()
        self.config = KubeletConfig(
            node_name="node", node_ip="192.0.2.1", root_dir=root / "kubelet", cgroup_root="/podkeeper-node"
        )
        self._task: asyncio.Task[None] | None = None
        self.kubelet: Kubelet

    async def start(self) -> None:
        """Starts the kubelet, or starts it again after ``stop``."""
        self.kubelet = Kubelet(
            self.config,
            cast(Any, self.api),
            self.runtime,
            self.runtime,
            cast(Any, self.cgroups),
            self.events,
            self.clock,
        )
        self._task = asyncio.create_task(self.kubelet.run())
        await self.settle()

    async def stop(self) -> None:
        """Cancels the kubelet, as when its process ends; a crash of it is a failure of the test."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.result()
            self._task = None

    async def settle(self) -> None:
        await self.clock.settle(400)

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.settle()

    async def run(self, pod: v1.Pod) -> None:
        """Puts a pod on the node and lets it start."""
        self.api.put(pod)
        await self.settle()

    def status(self, container: str = "app", pod: str = "web") -> v1.ContainerStatus:
        """What the API says of one container."""
        status = self.api.pod(pod).status
        every = (*status.init_container_statuses, *status.container_statuses, *status.ephemeral_container_statuses)
        return next(each for each in every if each.name == container)

    def condition(self, kind: str, pod: str = "web") -> str:
        found = (each.status for each in self.api.pod(pod).status.conditions if each.type == kind)
        return next(found, "absent")

    def running(self) -> list[str]:
        return [each.name for each in self.runtime.containers.values() if each.state is ContainerState.RUNNING]

    def exit(self, container: str, code: int = 0) -> None:
        """The newest container of that name ends by itself."""
        self.runtime.exit_container(self.runtime.container_named(container).id, Outcome(code))

    def happened(self, operation: str) -> list[str]:
        """What an operation of the runtime was called about."""
        return [about for name, about in self.runtime.calls if name == operation]


class SpdyClient:
    """The client's side of SPDY, as far as the tests need it."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def open(self, stream: int, headers: dict[str, str], *, last: bool = False) -> bytes:
        words = [word.encode() for pair in headers.items() for word in pair]
        plain = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(word)) + word for word in words)
        block = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = struct.pack(">IIH", stream, 0, 0) + block
        return struct.pack(">II", 0x80030001, last << 24 | len(payload)) + payload

    def data(self, stream: int, data: bytes, *, last: bool = False) -> bytes:
        return struct.pack(">II", stream, last << 24 | len(data)) + data

    def reset(self, stream: int) -> bytes:
        return struct.pack(">IIII", 0x80030003, 8, stream, 5)


@pytest.fixture(scope="session")
def spdy_client() -> type[SpdyClient]:
    return SpdyClient


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fake_cgroups() -> FakeCgroups:
    return FakeCgroups()


@pytest.fixture
def fake_api(clock: FakeClock) -> FakeApi:
    return FakeApi(clock)


@pytest.fixture
def make_pod() -> Callable[..., v1.Pod]:
    """A pod of this node with one container ``app``; ``containers`` and spec fields replace what is given."""

    def make(name: str = "web", containers: Sequence[v1.Container] = (), **spec: Any) -> v1.Pod:
        chosen = tuple(containers) or (v1.Container(name="app", image="app:1"),)
        fields: dict[str, Any] = {
            "node_name": "node",
            "restart_policy": "Always",
            "termination_grace_period_seconds": 30,
            "service_account_name": "default",
        }
        metadata = meta.ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-of-{name}",
            generation=1,
            creation_timestamp="2023-11-14T22:13:20Z",
        )
        return v1.Pod(metadata=metadata, spec=v1.PodSpec(**(fields | spec), containers=chosen))

    return make
