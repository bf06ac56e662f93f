"""Resources that change while a pod runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.api.quantity import Quantity
from podkeeper.runtime.cri import Usage
from podkeeper.runtime.failures import RuntimeFailure

Make = Callable[..., v1.Pod]


def app(cpu: str, memory: str = "64Mi", *policies: v1.ContainerResizePolicy) -> v1.Container:
    amounts = {"cpu": Quantity(cpu), "memory": Quantity(memory)}
    resources = v1.ResourceRequirements(requests=amounts, limits=amounts)
    return v1.Container(name="app", image="app:1", resources=resources, resize_policy=policies)


async def resize(node: Any, container: v1.Container) -> None:
    pod = node.api.pod()
    metadata = replace(pod.metadata, generation=(pod.metadata.generation or 0) + 1)
    node.api.put(replace(pod, metadata=metadata, spec=replace(pod.spec, containers=(container,))))
    await node.settle()


def applied(node: Any) -> tuple[int | None, int | None]:
    resources = node.runtime.container_named("app").resources
    return resources.cpu_quota, resources.memory_limit


async def test_cgroups_follow_without_a_restart(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app("500m"),)))
    before = node.runtime.container_named("app").id
    await resize(node, app("1", "128Mi"))
    assert applied(node) == (100_000, 128 << 20)
    assert node.runtime.container_named("app").id == before
    status = node.status()
    assert status.allocated_resources["cpu"] == Quantity("1")
    assert status.resources.limits["memory"] == Quantity("128Mi")
    assert node.cgroups.groups["/podkeeper-node/poduid-of-web"].cpu_quota == 100_000
    assert node.api.pod().status.observed_generation == 2


async def test_the_pods_group_is_open_while_its_containers_change(
    node: Any, make_pod: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.run(make_pod(containers=(app("500m"),)))
    seen: list[Any] = []
    before = node.runtime.update_container

    async def update_container(container_id: str, resources: Any) -> None:
        seen.append(node.cgroups.groups["/podkeeper-node/poduid-of-web"])
        await before(container_id, resources)

    monkeypatch.setattr(node.runtime, "update_container", update_container)
    await resize(node, app("100m", "32Mi"))
    assert [(limits.cpu_quota, limits.memory) for limits in seen] == [(-1, -1)]
    assert node.cgroups.groups["/podkeeper-node/poduid-of-web"].memory == 32 << 20


def condition(node: Any, kind: str) -> v1.PodCondition | None:
    return next((each for each in node.api.pod().status.conditions if each.type == kind), None)


async def test_memory_that_is_in_use_is_not_taken_away(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app("500m", "64Mi"),)))
    running = node.runtime.container_named("app")
    node.runtime.usages[running.id] = Usage(0, 0, 40 << 20, 40 << 20)
    await resize(node, app("1", "32Mi"))
    assert applied(node) == (50_000, 64 << 20)
    status = node.status()
    assert status.allocated_resources["memory"] == Quantity("32Mi")
    assert (status.resources.limits["memory"], status.resources.limits["cpu"]) == (Quantity("64Mi"), Quantity("500m"))
    assert str(status.resources.limits["memory"]) == "64Mi"
    told = condition(node, "PodResizeInProgress")
    assert told is not None
    assert (told.status, told.reason) == ("True", "Error")
    assert told.message == (
        f'attempting to set container "app" memory limit ({32 << 20}) below current usage ({40 << 20})'
    )
    assert "FailedSync" not in node.events.reasons()
    node.runtime.usages[running.id] = Usage(0, 0, 10 << 20, 10 << 20)
    await node.pass_time(10.1)
    assert applied(node) == (100_000, 32 << 20)
    assert condition(node, "PodResizeInProgress") is None
    assert node.status().resources.limits["memory"] == Quantity("32Mi")
    assert node.runtime.container_named("app").id == running.id


async def test_a_resize_that_fails_leaves_the_rest_of_the_pod_alone(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app("500m"),)))
    for _ in range(2):  # it is tried again at once, then every ten seconds
        node.runtime.fail_next("update_container", RuntimeFailure("device busy"))
    await resize(node, app("1"))
    told = condition(node, "PodResizeInProgress")
    assert told is not None
    assert told.message == "device busy"
    node.exit("app", 1)  # it comes back with what it was to have
    await node.settle()
    assert applied(node) == (100_000, 64 << 20)
    assert condition(node, "PodResizeInProgress") is None


async def test_a_policy_may_ask_for_a_restart(node: Any, make_pod: Make) -> None:
    policy = v1.ContainerResizePolicy(resource_name="memory", restart_policy="RestartContainer")
    await node.run(make_pod(containers=(app("500m", "64Mi", policy),)))
    before = node.runtime.container_named("app").id
    await resize(node, app("1", "64Mi", policy))
    assert node.runtime.container_named("app").id == before
    await resize(node, app("1", "128Mi", policy))
    assert node.runtime.container_named("app").id != before
    assert applied(node) == (100_000, 128 << 20)
    assert ("Normal", "Killing", "Container app resize requires restart") in node.events.seen


async def test_what_can_never_fit_changes_nothing_and_says_so(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app("500m"),)))
    await resize(node, app("1000"))
    assert applied(node) == (50_000, 64 << 20)
    assert node.status().allocated_resources["cpu"] == Quantity("500m")
    condition = next(each for each in node.api.pod().status.conditions if each.type == "PodResizePending")
    assert (condition.status, condition.reason) == ("True", "Infeasible")
    assert condition.message.startswith("Node didn't have enough capacity: cpu, requested: 1000000, capacity: ")
    await node.stop()
    await node.start()  # what was given is remembered
    assert applied(node) == (50_000, 64 << 20)
    assert node.condition("PodResizePending") == "True"


async def test_a_deferred_resize_is_done_when_another_pod_leaves(node: Any, make_pod: Make) -> None:
    cpus = node.kubelet.parts.node.allocatable["cpu"].milli_value()
    rest = app(f"{cpus - 500}m")
    await node.run(make_pod("other", containers=(rest,)))
    await node.run(make_pod(containers=(app("400m"),)))
    await resize(node, app("600m"))
    assert applied(node) == (40_000, 64 << 20)
    condition = next(each for each in node.api.pod().status.conditions if each.type == "PodResizePending")
    assert condition.reason == "Deferred"
    node.api.ask_deletion("other")
    await node.settle()
    assert applied(node) == (60_000, 64 << 20)
    assert node.condition("PodResizePending") == "absent"
