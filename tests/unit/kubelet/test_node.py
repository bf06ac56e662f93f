"""The node's own objects: registration, status, lease; and what the node does when something runs short."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from msgspec.structs import replace as changed

from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.config import KubeletConfig
from podkeeper.kubelet.eviction import (
    Consumer,
    LocalStorage,
    Shortage,
    choose_victim,
    disk_shortage,
    has_storage_limits,
    pressure_verdict,
    storage_verdict,
)
from podkeeper.kubelet.image_gc import ImageCollector, to_free
from podkeeper.kubelet.log_rotation import LogRotator, remove_log, rotated_logs
from podkeeper.kubelet.machine import DiskSpace, Machine, read_machine
from podkeeper.kubelet.node_status import allocatable, capacity
from podkeeper.kubelet.pull_secrets import credentials_for, repository_of
from podkeeper.runtime.cri import RuntimeInfo
from podkeeper.runtime.cri_images import ImageStatus

Make = Callable[..., v1.Pod]
GIB = 1 << 30


def conditions(node: v1.Node) -> dict[str, str]:
    return {each.type: each.status for each in node.status.conditions}


async def test_the_node_is_registered_complete(node: Any) -> None:
    found = node.api.objects[v1.Node, "", "node"]
    assert conditions(found) == {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "Ready": "True",
    }
    assert found.metadata.labels["kubernetes.io/hostname"] == "node"
    assert [(each.type, each.address) for each in found.status.addresses] == [
        ("InternalIP", "192.0.2.1"),
        ("Hostname", "node"),
    ]
    assert found.status.daemon_endpoints.kubelet_endpoint.port == 10250
    assert found.status.node_info.container_runtime_version == "scripted://1"
    assert found.status.capacity["pods"] == Quantity("110")
    assert found.status.images[0].names[-1] == "app:1"


async def test_the_lease_is_renewed_and_the_status_is_not_rewritten(node: Any) -> None:
    key = (coordination.Lease, "kube-node-lease", "node")
    first = node.api.objects[key].spec.renew_time
    assert node.api.objects[key].spec.holder_identity == "node"
    await node.pass_time(61)
    assert node.api.objects[key].spec.renew_time > first
    assert [noun for noun, _, _ in node.api.patches if noun == "nodes"] == []
    await node.pass_time(250)
    assert [noun for noun, _, _ in node.api.patches if noun == "nodes"] == ["nodes"]


async def test_a_runtime_that_is_down_makes_the_node_not_ready(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    down = RuntimeInfo("scripted", "1", ready=True, network_ready=False, message="no bridge")

    async def info() -> RuntimeInfo:
        return down

    monkeypatch.setattr(node.runtime, "info", info)
    await node.pass_time(10.1)
    found = node.api.objects[v1.Node, "", "node"]
    ready = next(each for each in found.status.conditions if each.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "KubeletNotReady")
    assert "NetworkPluginNotReady message:no bridge" in ready.message
    assert "NodeNotReady" in node.events.reasons()


async def test_a_node_that_exists_is_taken_over_with_others_conditions(node: Any) -> None:
    await node.stop()
    found = node.api.objects[v1.Node, "", "node"]
    foreign = v1.NodeCondition(type="NetworkUnavailable", status="False")
    stale = changed(found.status, conditions=(foreign,))
    labels = {"mine": "kept"}
    node.api.put(changed(found, status=stale, metadata=changed(found.metadata, labels=labels)))
    await node.start()
    found = node.api.objects[v1.Node, "", "node"]
    assert conditions(found)["NetworkUnavailable"] == "False"
    assert conditions(found)["Ready"] == "True"
    assert found.metadata.labels["mine"] == "kept"
    assert found.metadata.labels["kubernetes.io/os"] == "linux"


async def test_a_node_that_was_deleted_registers_again(node: Any) -> None:
    node.api.drop(v1.Node, "", "node")
    await node.pass_time(320)
    assert conditions(node.api.objects[v1.Node, "", "node"])["Ready"] == "True"


def test_what_pods_may_use_is_less_than_there_is(tmp_path: Path) -> None:
    config = KubeletConfig(node_name="node", node_ip="192.0.2.1", root_dir=tmp_path)
    machine = Machine(cpus=4, memory=8 * GIB, hugepages={2048: 64 << 20})
    disk = DiskSpace(100 * GIB, 50 * GIB, 10, 5)
    tuned = replace(config, system_reserved_cpu_millis=500, system_reserved_memory=GIB)
    assert capacity(tuned, machine, disk)["hugepages-2Mi"] == Quantity("64Mi")
    assert capacity(tuned, machine, disk)["memory"] == Quantity("8Gi")
    free = allocatable(tuned, machine, disk)
    assert free["cpu"] == Quantity("3500m")
    assert free["memory"] == Quantity.from_value(8 * GIB - GIB - (100 << 20) - (64 << 20))


def test_this_machine_can_be_read() -> None:
    machine = read_machine()
    assert machine.cpus > 0
    assert machine.memory > 1 << 20


# -- eviction -------------------------------------------------------------------------------------------------


def pod_of(make_pod: Make, name: str, memory: str = "", **spec: Any) -> v1.Pod:
    requests = {"memory": Quantity(memory)} if memory else {}
    container = v1.Container(name="app", image="app:1", resources=v1.ResourceRequirements(requests=requests))
    return make_pod(name, containers=(container,), **spec)


def test_the_greediest_of_the_least_important_goes_first(make_pod: Make) -> None:
    shortage = Shortage("memory", 100, 50)
    within = Consumer(pod_of(make_pod, "within", "1Gi"), GIB // 2)
    over = Consumer(pod_of(make_pod, "over", "1Mi"), 50 << 20)
    more = Consumer(pod_of(make_pod, "more", "1Mi"), 90 << 20)
    important = Consumer(pod_of(make_pod, "important", priority=100), GIB)
    critical = Consumer(pod_of(make_pod, "critical", priority=2_000_001_000), 4 * GIB)

    def order(*consumers: Consumer) -> list[str]:
        left, names = list(consumers), []
        while (victim := choose_victim(left, shortage)) is not None:
            names.append(victim.pod.metadata.name)
            left.remove(victim)
        return names

    assert order(within, over, critical, important, more) == ["more", "over", "important", "within"]


def test_a_large_disk_is_not_full_at_a_tenth() -> None:
    assert disk_shortage(2 * GIB, 1000 * GIB, 0.1) is None
    assert disk_shortage(GIB // 2, 1000 * GIB, 0.1) == Shortage("ephemeral-storage", GIB, GIB // 2)
    assert disk_shortage(GIB // 4, 2 * GIB, 0.1) is None


async def test_an_evicted_pod_says_why(node: Any, make_pod: Make) -> None:
    await node.run(pod_of(make_pod, "web", "1Mi"))
    victim = Consumer(node.api.pod(), 5 << 20)
    node.kubelet.workers.worker("uid-of-web").evict(
        pressure_verdict(victim, Shortage("memory", 100 << 20, 50 << 20)), 1
    )
    await node.settle()
    status = node.api.pod().status
    assert (status.phase, status.reason) == ("Failed", "Evicted")
    assert status.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Pod was using 5Mi, request is 1Mi, has larger consumption of memory. "
    )
    assert node.condition("DisruptionTarget") == "True"
    assert "Evicted" in node.events.reasons()
    assert node.running() == []


def test_limits_on_local_storage(make_pod: Make) -> None:
    cache = v1.Volume(name="cache", empty_dir=v1.EmptyDirVolumeSource(size_limit=Quantity("1Mi")))
    limits = v1.ResourceRequirements(limits={"ephemeral-storage": Quantity("2Mi")})
    pod = make_pod(containers=(v1.Container(name="app", image="app:1", resources=limits),), volumes=(cache,))
    assert has_storage_limits(pod)
    assert not has_storage_limits(make_pod())
    assert storage_verdict(pod, LocalStorage({"cache": 1 << 20}, {"app": 2 << 20})) is None
    volume = storage_verdict(pod, LocalStorage({"cache": (1 << 20) + 1}, {}))
    assert volume is not None
    assert volume.message == 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '
    container = storage_verdict(pod, LocalStorage({}, {"app": 3 << 20}))
    assert container is not None
    assert container.message == 'Container app exceeded its local ephemeral storage limit "2Mi". '


# -- logs and images ------------------------------------------------------------------------------------------


async def test_logs_are_rotated_compressed_and_dropped(node: Any, make_pod: Make, tmp_path: Path) -> None:
    await node.run(make_pod())
    container = node.runtime.container_named("app")
    path = tmp_path / "0.log"
    rotator = LogRotator(node.runtime, max_size=10, max_files=4)
    assert not rotator.is_due(path)
    for number in range(6):
        path.write_text(f"log number {number}\n")
        assert rotator.is_due(path)
        await rotator.rotate(container.id, path, 1_700_000_000 + number)
    assert node.happened("reopen_log") == ["app"] * 6
    names = [each.name for each in rotated_logs(path)]
    assert names == ["0.log.20231114-221323.gz", "0.log.20231114-221324.gz", "0.log.20231114-221325"]
    assert gzip.decompress((tmp_path / names[0]).read_bytes()) == b"log number 3\n"
    remove_log(path)
    assert list(tmp_path.glob("0.log*")) == []


def image(name: str, *, local: bool = False) -> ImageStatus:
    return ImageStatus(f"sha256:{name}", (name,), (), 10 * GIB, local=local)


async def test_unused_images_go_when_the_disk_fills_the_longest_unused_first(node: Any) -> None:
    node.runtime.images = {name: image(name, local=name == "built") for name in ("old", "new", "used", "built")}
    collector = ImageCollector(node.runtime)
    roomy, full = DiskSpace(100 * GIB, 50 * GIB, 1, 1), DiskSpace(100 * GIB, 10 * GIB, 1, 1)
    in_use = ["sha256:new", "sha256:used"]
    await collector.collect(in_use, roomy, 0)
    await collector.collect(in_use, roomy, 1000)
    assert to_free(full) == 10 * GIB
    assert await collector.collect(["sha256:used"], full, 2000) == 10 * GIB
    assert sorted(node.runtime.images) == ["built", "new", "used"]
    assert await collector.collect(["sha256:used"], full, 2001) == 10 * GIB
    assert sorted(node.runtime.images) == ["built", "used"]
    assert await collector.collect(["sha256:used"], full, 3000) == 0


# -- pull secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_name", "repository"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("busybox:1.36", "docker.io/library/busybox"),
        ("me/app", "docker.io/me/app"),
        ("example.org:5000/me/app:1@sha256:0", "example.org:5000/me/app"),
        ("localhost/app", "localhost/app"),
    ],
)
def test_repositories_are_named_in_full(image_name: str, repository: str) -> None:
    assert repository_of(image_name) == repository


class Secrets:
    def __init__(self, **auths: dict[str, Any]) -> None:
        self._auths = auths

    async def read(self, namespace: str, name: str) -> v1.Secret:
        data = base64.b64encode(json.dumps({"auths": self._auths[name]}).encode()).decode()
        return v1.Secret(
            metadata=meta.ObjectMeta(name=name),
            type="kubernetes.io/dockerconfigjson",
            data={".dockerconfigjson": data},
        )


class Objects:
    def __init__(self, **auths: dict[str, Any]) -> None:
        self.secrets = Secrets(**auths)


async def users(make_pod: Make, image_name: str, **auths: dict[str, Any]) -> Sequence[str]:
    pod = make_pod(image_pull_secrets=tuple(v1.LocalObjectReference(name=name) for name in auths))
    found = await credentials_for(pod, image_name, Objects(**auths))  # type: ignore[arg-type]
    return [each.username for each in found]


async def test_the_most_specific_credentials_come_first(make_pod: Make) -> None:
    secret = {
        "example.org": {"username": "host", "password": "x"},
        "example.org/me": {"auth": base64.b64encode(b"path:x").decode()},
        "other.org": {"username": "other", "password": "x"},
        "*.example.org": {"username": "glob", "password": "x"},
    }
    assert await users(make_pod, "example.org/me/app", one=secret) == ["path", "host"]
    assert await users(make_pod, "example.org/you/app", one=secret) == ["host"]
    assert await users(make_pod, "sub.example.org/app", one=secret) == ["glob"]
    hub = {"https://index.docker.io/v1/": {"username": "hub", "password": "x"}}
    assert await users(make_pod, "busybox", one=hub) == ["hub"]
