"""Whole pods through a kubelet over fakes: from the API object to containers and status, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from podkeeper.api.core import v1
from podkeeper.kubelet.kubelet import Kubelet
from podkeeper.runtime.cri import ContainerState
from podkeeper.testing.scripted_runtime import Outcome, ScriptedRuntime


@pytest.fixture
async def kubelet(
    config: Any, fake_api: Any, runtime: ScriptedRuntime, fake_cgroups: Any, fake_events: Any, clock: Any
) -> AsyncIterator[Kubelet]:
    made = Kubelet(config, fake_api, runtime, runtime, fake_cgroups, fake_events, clock)
    task = asyncio.create_task(made.run())
    await clock.settle(400)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


Make = Callable[..., v1.Pod]


def running(runtime: ScriptedRuntime) -> list[str]:
    return [each.name for each in runtime.containers.values() if each.state is ContainerState.RUNNING]


def condition(pod: v1.Pod, kind: str) -> str:
    return next((each.status for each in pod.status.conditions if each.type == kind), "absent")


async def test_a_pod_becomes_running_and_ready(
    kubelet: Kubelet, fake_api: Any, runtime: ScriptedRuntime, fake_events: Any, clock: Any, make_pod: Make
) -> None:
    fake_api.put(make_pod())
    await clock.settle(400)
    pod = fake_api.pod()
    assert pod.status.phase == "Running"
    assert [condition(pod, kind) for kind in ("PodReadyToStartContainers", "Initialized", "Ready")] == ["True"] * 3
    assert pod.status.pod_ip.startswith("10.88.")
    assert pod.status.container_statuses[0].container_id == f"podkeeper://{runtime.container_named('app').id}"
    assert fake_events.reasons() == ["Starting", "MissingClusterDNS", "Pulled", "Created", "Started"]


async def test_deletion_stops_the_container_and_lets_the_object_go(
    kubelet: Kubelet,
    fake_api: Any,
    runtime: ScriptedRuntime,
    fake_cgroups: Any,
    clock: Any,
    make_pod: Make,
    config: Any,
) -> None:
    fake_api.put(make_pod())
    await clock.settle(400)
    fake_api.ask_deletion()
    await clock.settle(400)
    assert fake_api.all(v1.Pod) == []
    assert fake_api.deletions == [("pods", "web", 0)]
    assert not runtime.sandboxes
    assert not runtime.containers
    assert not any("uid-of-web" in path for path in fake_cgroups.groups)
    assert not (config.pods_dir / "uid-of-web").exists()
    final = [patch["status"] for noun, _, patch in fake_api.patches if noun == "pods"][-1]
    assert final["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    assert final["phase"] == "Failed"


async def test_a_crashing_container_is_restarted_with_back_off(
    kubelet: Kubelet, fake_api: Any, runtime: ScriptedRuntime, fake_events: Any, clock: Any, make_pod: Make
) -> None:
    fake_api.put(make_pod())
    await clock.settle(400)
    runtime.exit_container(runtime.container_named("app").id, Outcome(1))
    await clock.settle(400)
    assert running(runtime) == ["app"]
    assert fake_api.pod().status.container_statuses[0].restart_count == 1
    runtime.exit_container(runtime.container_named("app").id, Outcome(1))
    await clock.settle(400)
    status = fake_api.pod().status.container_statuses[0]
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.state.waiting.message == ("back-off 10s restarting failed container=app pod=web_default(uid-of-web)")
    assert status.last_state.terminated.exit_code == 1
    assert ("Warning", "BackOff", "Back-off restarting failed container app in pod web_default(uid-of-web)") in (
        fake_events.seen
    )
    await clock.advance(9.9)
    assert running(runtime) == []
    await clock.advance(0.2)
    await clock.settle(400)
    assert running(runtime) == ["app"]
    assert fake_api.pod().status.container_statuses[0].restart_count == 2


async def test_a_dead_sandbox_is_rebuilt_with_everything_in_it(
    kubelet: Kubelet, fake_api: Any, runtime: ScriptedRuntime, fake_events: Any, clock: Any, make_pod: Make
) -> None:
    fake_api.put(make_pod())
    await clock.settle(400)
    before = fake_api.pod().status.pod_ip
    runtime.kill_sandbox(list(runtime.sandboxes)[-1])
    await clock.settle(400)
    assert running(runtime) == ["app"]
    assert "SandboxChanged" in fake_events.reasons()
    pod = fake_api.pod()
    assert pod.status.pod_ip != before
    assert [each.ip for each in pod.status.pod_ips] == [pod.status.pod_ip]
    assert max(each.attempt for each in runtime.sandboxes.values()) == 1


async def test_a_pod_that_is_done_succeeds_and_stays_until_deleted(
    kubelet: Kubelet, fake_api: Any, runtime: ScriptedRuntime, clock: Any, make_pod: Make
) -> None:
    runtime.exit_when_started("app", Outcome(0))
    fake_api.put(make_pod(restart_policy="Never"))
    await clock.settle(400)
    pod = fake_api.pod()
    assert pod.status.phase == "Succeeded"
    assert condition(pod, "Ready") == "False"
    assert runtime.containers  # kept for its logs
    fake_api.drop(v1.Pod, "default", "web")
    await clock.settle(400)
    assert not runtime.containers
