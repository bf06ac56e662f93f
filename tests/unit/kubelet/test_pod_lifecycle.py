"""Whole pods through a kubelet over fakes: start, restart, end, and the node's own restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podkeeper.api.core import v1
from podkeeper.runtime.cri import ContainerState
from podkeeper.runtime.failures import RuntimeFailure

Make = Callable[..., v1.Pod]


async def test_a_pod_becomes_running_and_ready(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    pod = node.api.pod()
    assert pod.status.phase == "Running"
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    assert [node.condition(kind) for kind in conditions] == ["True"] * 5
    assert pod.status.pod_ip.startswith("10.88.")
    assert (pod.status.host_ip, pod.status.qos_class) == ("192.0.2.1", "BestEffort")
    assert node.status().container_id == "podkeeper://" + node.runtime.container_named("app").id
    assert node.events.reasons() == ["Starting", "MissingClusterDNS", "Pulled", "Created", "Started"]


async def test_deletion_stops_the_container_and_lets_the_object_go(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    node.api.ask_deletion()
    await node.settle()
    assert node.api.all(v1.Pod) == []
    assert node.api.deletions == [("pods", "web", 0)]
    assert not node.runtime.sandboxes
    assert not node.runtime.containers
    assert not any("uid-of-web" in path for path in node.cgroups.groups)
    assert not (node.config.pods_dir / "uid-of-web").exists()
    assert list(node.config.logs_dir.iterdir()) == []
    final = [patch["status"] for noun, _, patch in node.api.patches if noun == "pods"][-1]
    assert final["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    assert final["phase"] == "Failed"


async def test_a_crashing_container_is_restarted_with_back_off(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    node.exit("app", 1)
    await node.settle()
    assert node.running() == ["app"]
    assert node.status().restart_count == 1
    node.exit("app", 1)
    await node.settle()
    status = node.status()
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.state.waiting.message == "back-off 10s restarting failed container=app pod=web_default(uid-of-web)"
    assert status.last_state.terminated.exit_code == 1
    event = ("Warning", "BackOff", "Back-off restarting failed container app in pod web_default(uid-of-web)")
    assert event in node.events.seen
    await node.pass_time(9.9)
    assert node.running() == []
    await node.pass_time(0.2)
    assert node.running() == ["app"]
    assert node.status().restart_count == 2


async def test_a_restart_rule_brings_a_container_back_again_and_again(node: Any, make_pod: Make) -> None:
    codes = v1.ContainerRestartRuleOnExitCodes(operator="In", values=(42,))
    rule = v1.ContainerRestartRule(action="Restart", exit_codes=codes)
    ruled = v1.Container(name="app", image="app:1", restart_policy="Never", restart_policy_rules=(rule,))
    await node.run(make_pod(containers=(ruled,), restart_policy="Never"))
    for wait in (0, 10.1, 20.1):
        node.exit("app", 42)
        await node.settle()
        assert node.api.pod().status.phase == "Running"
        await node.pass_time(wait)
        assert node.running() == ["app"]
    node.exit("app", 1)
    await node.settle()
    assert node.api.pod().status.phase == "Failed"


async def test_a_dead_sandbox_is_rebuilt_with_everything_in_it(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    before = node.api.pod().status.pod_ip
    node.runtime.kill_sandbox(next(iter(node.runtime.sandboxes)))
    await node.settle()
    assert node.running() == ["app"]
    assert "SandboxChanged" in node.events.reasons()
    pod = node.api.pod()
    assert pod.status.pod_ip not in ("", before)
    assert [each.ip for each in pod.status.pod_ips] == [pod.status.pod_ip]
    assert max(each.attempt for each in node.runtime.sandboxes.values()) == 1


async def test_a_pod_that_is_done_succeeds_and_stays_until_deleted(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(restart_policy="Never"))
    node.exit("app", 0)
    await node.settle()
    assert node.api.pod().status.phase == "Succeeded"
    assert node.condition("Ready") == "False"
    assert node.runtime.containers  # kept for its logs
    node.api.drop(v1.Pod, "default", "web")
    await node.settle()
    assert not node.runtime.containers


async def test_another_image_restarts_that_container_alone(node: Any, make_pod: Make) -> None:
    other = v1.Container(name="other", image="app:1")
    await node.run(make_pod(containers=(v1.Container(name="app", image="app:1"), other)))
    kept = node.runtime.container_named("other").id
    node.runtime.add_image("app:2")
    newer = make_pod(containers=(v1.Container(name="app", image="app:2"), other))
    node.api.put(newer)
    await node.settle()
    assert node.runtime.container_named("app").image == node.runtime.images["app:2"].id
    assert node.runtime.container_named("other").id == kept
    assert ("Normal", "Killing", "Container app definition changed, will be restarted") in node.events.seen


async def test_init_containers_run_first_and_are_told(node: Any, make_pod: Make) -> None:
    init = v1.Container(name="init", image="app:1")
    await node.run(make_pod(init_containers=(init,)))
    assert node.running() == ["init"]
    assert node.api.pod().status.phase == "Pending"
    assert node.status("app").state.waiting.reason == "PodInitializing"
    assert node.condition("Initialized") == "False"
    node.exit("init", 0)
    await node.settle()
    assert node.running() == ["app"]
    assert node.status("init").ready
    assert node.condition("Initialized") == "True"


async def test_sidecars_end_last_and_in_reverse_order(node: Any, make_pod: Make) -> None:
    sidecars = tuple(v1.Container(name=name, image="app:1", restart_policy="Always") for name in ("one", "two"))
    await node.run(make_pod(init_containers=sidecars))
    assert node.running() == ["one", "two", "app"]
    names = {each.id: each.name for each in node.runtime.containers.values()}
    node.api.ask_deletion()
    await node.settle()
    assert [names[each] for each in node.happened("stop_container")] == ["app", "two", "one"]


async def test_a_shortened_grace_period_is_obeyed_at_once(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    node.runtime.stubborn.add("app")
    node.api.ask_deletion(grace=600)
    await node.pass_time(1)
    assert node.running() == ["app"]
    node.api.ask_deletion(grace=2)
    await node.pass_time(2.1)
    assert node.running() == []
    assert node.api.all(v1.Pod) == []


async def test_a_forced_deletion_ends_the_containers_too(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    node.api.drop(v1.Pod, "default", "web")
    await node.settle()
    assert not node.runtime.sandboxes
    assert not node.runtime.containers


async def test_a_pod_waits_for_the_host_port_of_one_that_was_forced_away(node: Any, make_pod: Make) -> None:
    port = v1.ContainerPort(container_port=80, host_port=8080, protocol="TCP")
    app = v1.Container(name="app", image="app:1", ports=(port,))
    await node.run(make_pod(containers=(app,)))
    node.runtime.stubborn.add("app")
    node.api.drop(v1.Pod, "default", "web")
    await node.settle()
    assert node.running() == ["app"]
    taken = RuntimeFailure("hostPort 8080/TCP still belongs to the pod with address 10.88.0.2")
    node.runtime.fail_next("run_sandbox", taken)
    await node.run(make_pod("heir", containers=(app,)))
    assert node.api.pod("heir").status.phase == "Pending"
    told = [text for _, reason, text in node.events.seen if reason == "FailedCreatePodSandBox"]
    assert told == [f"Failed to create pod sandbox: {taken}"]
    node.runtime.stubborn.clear()
    await node.pass_time(30.1)
    assert node.api.pod("heir").status.phase == "Running"


async def test_who_waits_to_be_set_up_is_tried_as_soon_as_another_pod_leaves(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(restart_policy="Never"))
    for _ in range(7):  # after that many, tries are many seconds apart
        node.runtime.fail_next("run_sandbox", RuntimeFailure("no room"))
    await node.run(make_pod("waiting"))
    for _ in range(35):
        await node.pass_time(1)
    assert node.api.pod("waiting").status.phase == "Pending"
    node.api.ask_deletion("web")
    await node.settle()
    assert node.api.pod("waiting").status.phase == "Running"


async def test_deletion_interrupts_a_long_pull(node: Any, make_pod: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pull(reference: str, credentials: Any = None) -> str:
        await node.clock.sleep(3600)
        return ""

    monkeypatch.setattr(node.runtime, "pull_image", pull)
    await node.run(make_pod(containers=(v1.Container(name="app", image="far/away:1"),)))
    assert node.status().state.waiting.reason == "ContainerCreating"
    node.api.ask_deletion()
    await node.settle()
    assert node.api.all(v1.Pod) == []
    assert not node.runtime.sandboxes
    assert node.api.patches[-1][2]["status"]["phase"] == "Failed"  # it never ran, and never will


async def test_the_active_deadline_fails_the_pod(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(active_deadline_seconds=60))
    await node.pass_time(59)
    assert node.running() == ["app"]
    await node.pass_time(2)
    status = node.api.pod().status
    assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")
    assert node.running() == []


async def test_running_containers_are_adopted_after_the_kubelets_restart(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    node.exit("app", 1)
    await node.settle()
    before = node.runtime.container_named("app").id
    since = [each.last_transition_time for each in node.api.pod().status.conditions]
    await node.stop()
    calls = len(node.runtime.calls)
    await node.pass_time(100)
    await node.start()
    assert node.running() == ["app"]
    assert node.runtime.container_named("app").id == before
    assert not [name for name, _ in node.runtime.calls[calls:] if name != "remove_container"]
    assert node.status().restart_count == 1
    assert [each.last_transition_time for each in node.api.pod().status.conditions] == since
    node.exit("app", 1)
    await node.settle()
    assert node.status().restart_count == 2


async def test_what_exited_while_the_kubelet_was_away_is_restarted(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    await node.stop()
    node.exit("app", 3)
    await node.start()
    assert node.running() == ["app"]
    assert node.status().last_state.terminated.exit_code == 3


async def test_after_the_machines_restart_pods_begin_anew_and_remember(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    await node.run(make_pod("done", restart_policy="Never"))
    node.runtime.exit_container(node.runtime.container_named("app", pod_uid="uid-of-done").id)
    await node.settle()
    finished = node.api.pod("done").status
    log = node.config.logs_dir / "default_web_uid-of-web/app/0.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    await node.stop()
    node.runtime.sandboxes.clear()
    node.runtime.containers.clear()
    await node.start()
    status = node.status()
    assert (status.state.running is not None, status.restart_count) == (True, 1)
    assert node.api.pod("done").status == finished
    lost = [
        each["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"]
        for noun, name, each in node.api.patches
        if noun == "pods" and name == "web" and each["status"].get("containerStatuses", [{}])[0].get("lastState")
    ]
    assert lost == ["ContainerStatusUnknown"]


async def test_leftovers_of_pods_that_are_gone_are_removed_at_start(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    await node.run(make_pod("stays"))
    await node.stop()
    node.api.drop(v1.Pod, "default", "web")
    await node.start()
    assert [each.uid for each in node.runtime.sandboxes.values()] == ["uid-of-stays"]
    assert not (node.config.pods_dir / "uid-of-web").exists()
    assert [each.name for each in node.config.logs_dir.iterdir()] == ["default_stays_uid-of-stays"]


async def test_directories_and_groups_without_a_sandbox_are_leftovers_too(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    await node.stop()
    (node.config.pods_dir / "uid-of-old/volumes/kubernetes.io~empty-dir/v").mkdir(parents=True)
    (node.config.logs_dir / "default_old_uid-of-old/app").mkdir(parents=True)
    node.cgroups.create("/podkeeper-node/burstable/poduid-of-old")
    await node.start()
    assert [each.name for each in node.config.pods_dir.iterdir()] == ["uid-of-web"]
    assert [each.name for each in node.config.logs_dir.iterdir()] == ["default_web_uid-of-web"]
    assert not node.cgroups.exists("/podkeeper-node/burstable/poduid-of-old")
    assert node.running() == ["app"]


async def test_a_namesake_that_replaces_a_deleted_pod_is_another_pod(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    first = node.runtime.container_named("app").id
    node.api.drop(v1.Pod, "default", "web")
    reborn = make_pod()
    from msgspec.structs import replace

    await node.run(replace(reborn, metadata=replace(reborn.metadata, uid="another")))
    assert node.runtime.container_named("app").id != first
    assert node.api.pod().status.phase == "Running"
    assert [each.uid for each in node.runtime.sandboxes.values()] == ["another"]


async def test_a_rejected_pod_fails_with_the_reason_and_starts_nothing(node: Any, make_pod: Make) -> None:
    from podkeeper.api.quantity import Quantity

    huge = v1.ResourceRequirements(requests={"cpu": Quantity("10000")})
    await node.run(make_pod(containers=(v1.Container(name="app", image="app:1", resources=huge),)))
    status = node.api.pod().status
    assert (status.phase, status.reason) == ("Failed", "OutOfcpu")
    assert status.message.startswith("Pod was rejected: Node didn't have enough resource: cpu, requested: 10000000")
    assert not node.runtime.sandboxes


async def test_a_worker_that_meets_a_defect_is_started_anew(
    node: Any, make_pod: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.run(make_pod("healthy"))
    before = node.runtime.run_sandbox
    failures = [ValueError("a defect")]

    async def run_sandbox(config: Any) -> str:
        if failures:
            raise failures.pop()
        return str(await before(config))

    monkeypatch.setattr(node.runtime, "run_sandbox", run_sandbox)
    await node.run(make_pod())
    assert node.running() == ["app"]  # the healthy one's
    await node.pass_time(10.1)
    assert node.api.pod().status.phase == "Running"
    assert all(each.state is ContainerState.RUNNING for each in node.runtime.containers.values())
