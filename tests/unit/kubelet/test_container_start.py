"""What happens around a container's start: images, configuration, hooks, and what a failure shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.runtime.cri import ExecResult
from podkeeper.runtime.failures import RuntimeFailure

Make = Callable[..., v1.Pod]


def config_map(name: str, **data: str) -> v1.ConfigMap:
    return v1.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"), data=data)


def app(**fields: Any) -> v1.Container:
    return v1.Container(**({"name": "app", "image": "app:1"} | fields))


async def test_always_asks_the_registry(node: Any, make_pod: Make) -> None:
    node.runtime.add_to_registry("app:1")
    await node.run(make_pod(containers=(app(image_pull_policy="Always"),)))
    assert node.happened("pull_image") == ["app:1"]
    pulled = [text for _, reason, text in node.events.seen if reason == "Pulled"]
    assert pulled[0].startswith('Successfully pulled image "app:1" in 0s (0s including waiting). Image size: ')


async def test_without_a_registry_a_local_image_stands_in_and_says_so(node: Any, make_pod: Make) -> None:
    node.runtime.registry_available = False
    await node.run(make_pod(containers=(app(image_pull_policy="Always"),)))
    assert node.api.pod().status.phase == "Running"
    kinds = [(kind, text) for kind, reason, text in node.events.seen if reason == "Pulled"]
    assert kinds[0][0] == "Normal"
    assert "built or imported on this node" in kinds[0][1]


async def test_without_a_registry_a_pulled_image_does_not_stand_in(node: Any, make_pod: Make) -> None:
    node.runtime.add_image("app:1", local=False)
    node.runtime.registry_available = False
    await node.run(make_pod(containers=(app(image_pull_policy="Always"),)))
    waiting = node.status().state.waiting
    assert waiting.reason == "ImagePullBackOff"
    assert waiting.message.startswith('Back-off pulling image "app:1": ErrImagePull: ')
    assert "RegistryUnavailable" not in str(node.events.seen)


async def test_a_missing_image_backs_off_and_is_tried_again(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app(image="none:1"),)))
    waiting = node.status().state.waiting
    assert waiting.reason == "ImagePullBackOff"
    assert waiting.message.startswith('Back-off pulling image "none:1": ErrImagePull: ')
    reasons = node.events.reasons()
    assert reasons[-5:] == ["Pulling", "Failed", "Failed", "BackOff", "Failed"]
    node.runtime.add_to_registry("none:1")
    await node.pass_time(10.1)
    assert node.running() == ["app"]


async def test_a_corrected_image_does_not_wait_for_the_wrong_ones_back_off(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app(image="none:1"),)))
    assert node.status().state.waiting.reason == "ImagePullBackOff"
    pod = node.api.pod()
    node.api.put(replace(pod, spec=replace(pod.spec, containers=(app(),))))
    await node.settle()
    assert node.running() == ["app"]


async def test_never_does_not_ask_a_registry(node: Any, make_pod: Make) -> None:
    await node.run(make_pod(containers=(app(image="none:1", image_pull_policy="Never"),)))
    assert node.status().state.waiting.reason == "ErrImageNeverPull"
    told = [(reason, text) for kind, reason, text in node.events.seen if kind == "Warning"]
    assert told[-2:] == [
        ("ErrImageNeverPull", 'Container image "none:1" is not present with pull policy of Never'),
        ("Failed", "Error: ErrImageNeverPull"),
    ]
    assert node.happened("pull_image") == []


async def test_a_missing_config_map_is_waited_for_not_polled(node: Any, make_pod: Make) -> None:
    variable = v1.EnvVar(
        name="COLOR", value_from=v1.EnvVarSource(config_map_key_ref=v1.ConfigMapKeySelector(name="cfg", key="color"))
    )
    await node.run(make_pod(containers=(app(env=(variable,)),)))
    waiting = node.status().state.waiting
    assert (waiting.reason, waiting.message) == ("CreateContainerConfigError", 'configmap "cfg" not found')
    node.api.put(config_map("cfg", shade="dark"))
    await node.settle()
    assert node.status().state.waiting.message == "couldn't find key color in ConfigMap default/cfg"
    node.api.put(config_map("cfg", color="red"))
    await node.settle()
    container = node.runtime.container_named("app")
    assert ("COLOR", "red") in node.runtime.container_configs[container.id].env


async def test_a_missing_volume_source_delays_the_sandbox(node: Any, make_pod: Make) -> None:
    volume = v1.Volume(name="cfg", config_map=v1.ConfigMapVolumeSource(name="cfg"))
    mount = v1.VolumeMount(name="cfg", mount_path="/etc/cfg")
    await node.run(make_pod(containers=(app(volume_mounts=(mount,)),), volumes=(volume,)))
    assert not node.runtime.sandboxes
    assert node.condition("PodReadyToStartContainers") == "False"
    event = ("Warning", "FailedMount", 'MountVolume.SetUp failed for volume "cfg" : configmap "cfg" not found')
    assert event in node.events.seen
    node.api.put(config_map("cfg", key="one"))
    await node.settle()
    assert node.running() == ["app"]
    path = node.config.pods_dir / "uid-of-web/volumes/kubernetes.io~configmap/cfg/key"
    assert path.read_text() == "one"
    node.api.put(config_map("cfg", key="two"))
    await node.settle()
    assert path.read_text() == "two"


async def test_a_kind_of_volume_that_is_not_supported_is_named(node: Any, make_pod: Make) -> None:
    claim = v1.PersistentVolumeClaimVolumeSource(claim_name="data")
    volume = v1.Volume(name="data", persistent_volume_claim=claim)
    mount = v1.VolumeMount(name="data", mount_path="/data")
    await node.run(make_pod(containers=(app(volume_mounts=(mount,)),), volumes=(volume,)))
    texts = [text for _, reason, text in node.events.seen if reason == "FailedMount"]
    assert "persistentVolumeClaim volumes are not supported by this node" in texts[0]


async def test_run_as_non_root_is_verified(node: Any, make_pod: Make) -> None:
    context = v1.SecurityContext(run_as_non_root=True)
    await node.run(make_pod(containers=(app(security_context=context),)))
    waiting = node.status().state.waiting
    assert waiting.reason == "CreateContainerConfigError"
    assert waiting.message == (
        'container has runAsNonRoot and image will run as root (pod: "web_default(uid-of-web)", container: app)'
    )


async def test_a_command_that_cannot_start_is_counted_and_retried(node: Any, make_pod: Make) -> None:
    node.runtime.fail_next("start_container", RuntimeFailure("exec: no such file"))
    await node.run(make_pod())
    status = node.status()
    assert (status.state.waiting.reason, status.state.waiting.message) == ("RunContainerError", "exec: no such file")
    await node.pass_time(1.1)
    assert node.running() == ["app"]
    assert node.status().restart_count == 1


async def test_post_start_runs_before_the_next_container_and_its_failure_kills(node: Any, make_pod: Make) -> None:
    hook = v1.Lifecycle(post_start=v1.LifecycleHandler(exec=v1.ExecAction(command=("warm", "up"))))
    other = v1.Container(name="other", image="app:1")
    node.runtime.exec_script = lambda container, command: ExecResult(1, b"", b"cold")
    await node.run(make_pod(containers=(app(lifecycle=hook), other)))
    starts = [about for name, about in node.runtime.calls if name in ("start_container", "exec", "stop_container")]
    assert starts[:2] == ["app", "warm up"]
    assert "FailedPostStartHook" in node.events.reasons()
    assert node.running() == ["other"]
    node.runtime.exec_script = lambda container, command: ExecResult(0, b"", b"")
    await node.pass_time(20)
    assert sorted(node.running()) == ["app", "other"]


async def test_a_container_counts_as_running_when_its_post_start_hook_is_done(node: Any, make_pod: Make) -> None:
    hook = v1.Lifecycle(post_start=v1.LifecycleHandler(sleep=v1.SleepAction(seconds=5)))
    await node.run(make_pod(containers=(app(lifecycle=hook),)))
    assert node.running() == ["app"]
    assert node.status().state.waiting.reason == "ContainerCreating"
    assert (node.api.pod().status.phase, node.condition("Ready")) == ("Pending", "False")
    await node.pass_time(5.1)
    assert node.status().state.running is not None
    assert (node.api.pod().status.phase, node.condition("Ready")) == ("Running", "True")


async def test_pre_stop_runs_before_the_signal_and_shares_the_grace_period(
    node: Any, make_pod: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = v1.Lifecycle(pre_stop=v1.LifecycleHandler(sleep=v1.SleepAction(seconds=8)))
    await node.run(make_pod(containers=(app(lifecycle=hook),)))
    timeouts: list[float] = []
    before = node.runtime.stop_container

    async def stop_container(container_id: str, timeout: float) -> None:
        timeouts.append(timeout)
        await before(container_id, timeout)

    monkeypatch.setattr(node.runtime, "stop_container", stop_container)
    node.api.ask_deletion(grace=30)
    await node.pass_time(7)
    assert timeouts == []
    await node.pass_time(1.5)
    assert timeouts == [pytest.approx(22)]


async def test_ephemeral_containers_join_a_running_pod(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    pod = node.api.pod()
    debug = v1.EphemeralContainer(name="debug", image="app:1", target_container_name="app")
    node.api.put(replace(pod, spec=replace(pod.spec, ephemeral_containers=(debug,))))
    await node.settle()
    assert sorted(node.running()) == ["app", "debug"]
    created = node.runtime.container_configs[node.runtime.container_named("debug").id]
    assert created.security.namespaces.target_id == node.runtime.container_named("app").id
    assert node.status("debug").state.running is not None
