"""The kubelet with real containers: adoption, volumes, probes, sidecars, logs, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import CLIENTS, Cluster, eventually

Place = Callable[..., None]
SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done")


def container(name: str, *command: str, **fields: Any) -> dict[str, Any]:
    words = list(command or SLEEP)
    return {"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": words, **fields}


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    spec = {"containers": list(containers), "terminationGracePeriodSeconds": 2, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    """Applies objects, waits until the pods are ready, and deletes everything in the end."""
    targets: list[str] = []

    def apply(*objects: dict[str, Any], ready: bool = True) -> None:
        targets.extend(f"{each['kind']}/{each['metadata']['name']}" for each in objects)
        cluster.apply(*objects)
        for each in objects:
            if ready and each["kind"] == "Pod":
                cluster.wait("condition=Ready", f"pod/{each['metadata']['name']}")

    yield apply
    if targets:
        cluster.kubectl("delete", *targets, "--ignore-not-found", "--grace-period=1")


def state(cluster: Cluster, name: str, where: str) -> dict[str, Any]:
    status = cluster.get("pod", name)["status"]
    every = status.get("initContainerStatuses", []) + status["containerStatuses"]
    return next(dict(each) for each in every if each["name"] == where)


def run_in(cluster: Cluster, name: str, where: str, *command: str) -> str:
    return cluster.kubectl("exec", name, "-c", where, "--", *command).stdout


def test_containers_outlive_the_node_process_and_are_adopted(cluster: Cluster, place: Place) -> None:
    place(pod("adopted", container("a"), container("b")))
    before = {where: state(cluster, "adopted", where)["containerID"] for where in ("a", "b")}
    for number in (signal.SIGTERM, signal.SIGKILL):
        (old,) = cluster.pids("node")
        os.kill(old, number)
        eventually(lambda old=old: [pid for pid in cluster.pids("node") if pid != old])
        # The new process works again when it answers for the container.
        eventually(lambda: cluster.kubectl("exec", "adopted", "-c", "a", "--", "true", check=False).returncode == 0)
        for where in ("a", "b"):
            found = state(cluster, "adopted", where)
            assert (found["containerID"], found["restartCount"], found["ready"]) == (before[where], 0, True)
    cluster.kubectl("exec", "adopted", "-c", "a", "--", "kill", "-TERM", "1", check=False)
    eventually(lambda: state(cluster, "adopted", "a")["restartCount"] == 1)
    assert state(cluster, "adopted", "b")["containerID"] == before["b"]


def test_a_node_that_dies_while_pods_start_starts_nothing_twice(cluster: Cluster, place: Place, tmp_path: Path) -> None:
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    mounts = [{"name": "v", "mountPath": "/v"}]

    def once(name: str, where: str, code: int) -> dict[str, Any]:
        script = f"echo started >> /v/{name}-{where}; exit {code}"
        return container(where, "sh", "-c", script, volumeMounts=mounts)

    names = [f"once-{number}" for number in range(4)]
    pods = [pod(name, once(name, "a", 7), once(name, "b", 0), volumes=volumes, restartPolicy="Never") for name in names]
    place(*pods, ready=False)
    eventually(lambda: list(tmp_path.iterdir()))  # some have started, some have not
    (old,) = cluster.pids("node")
    os.kill(old, signal.SIGKILL)
    for name in names:
        cluster.wait("jsonpath={.status.phase}=Failed", f"pod/{name}")
        for where, code in (("a", 7), ("b", 0)):
            found = state(cluster, name, where)
            assert found["state"]["terminated"]["exitCode"] == code, found
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        f"{name}-{where}": "started\n" for name in names for where in "ab"
    }


def test_mounted_objects_change_under_a_running_container(cluster: Cluster, place: Place) -> None:
    volume = {
        "name": "all",
        "projected": {
            "sources": [
                {"configMap": {"name": "kubelet-cfg"}},
                {"secret": {"name": "kubelet-secret", "items": [{"key": "pw", "path": "deep/pw", "mode": 0o400}]}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"serviceAccountToken": {"path": "token", "audience": "somebody"}},
            ]
        },
    }
    mount = {"name": "all", "mountPath": "/all", "readOnly": True}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubelet-cfg"}, "data": {"color": "red"}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kubelet-secret"},
        "stringData": {"pw": "hidden"},
    }
    place(config, secret, pod("mounted", container("a", volumeMounts=[mount]), volumes=[volume]))
    assert run_in(cluster, "mounted", "a", "cat", "/all/color", "/all/deep/pw") == "redhidden"
    assert run_in(cluster, "mounted", "a", "stat", "-L", "-c", "%a", "/all/deep/pw").strip() == "400"
    assert run_in(cluster, "mounted", "a", "cat", "/all/token").count(".") == 2
    assert cluster.kubectl("exec", "mounted", "--", "touch", "/all/x", check=False).returncode != 0
    cluster.kubectl("patch", "configmap", "kubelet-cfg", "-p", '{"data":{"color":"blue"}}')
    cluster.kubectl("label", "pod", "mounted", "tier=new")
    eventually(lambda: run_in(cluster, "mounted", "a", "cat", "/all/color") == "blue", 5)
    eventually(lambda: 'tier="new"' in run_in(cluster, "mounted", "a", "cat", "/all/labels"), 5)


def test_a_pod_waits_for_its_config_map_and_starts_when_it_comes(cluster: Cluster, place: Place) -> None:
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "late-cfg", "key": "color"}}}]
    place(pod("late", container("a", env=env)), ready=False)
    waiting = eventually(lambda: state(cluster, "late", "a")["state"].get("waiting"))
    reason = eventually(
        lambda: (
            (state(cluster, "late", "a")["state"].get("waiting") or {}).get("reason") != "ContainerCreating"
            and state(cluster, "late", "a")["state"]["waiting"]
        )
    )
    assert waiting
    assert reason == {"reason": "CreateContainerConfigError", "message": 'configmap "late-cfg" not found'}
    place({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late-cfg"}, "data": {"color": "green"}})
    cluster.wait("condition=Ready", "pod/late", timeout=5)
    assert run_in(cluster, "late", "a", "sh", "-c", "echo $COLOR") == "green\n"


def test_probes_decide_over_readiness_and_life(cluster: Cluster, place: Place) -> None:
    serve = "mkdir -p /tmp/www; httpd -p 8080 -h /tmp/www; trap 'exit 0' TERM; while true; do sleep 0.1; done"
    probes = {
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 1, "failureThreshold": 1},
        "livenessProbe": {"exec": {"command": ["test", "!", "-e", "/tmp/sick"]}, "periodSeconds": 1},
        "ports": [{"name": "web", "containerPort": 8080}],
    }
    place(pod("probed", container("a", "sh", "-c", serve, **probes)), ready=False)
    cluster.wait("jsonpath={.status.phase}=Running", "pod/probed")
    assert not state(cluster, "probed", "a")["ready"]
    run_in(cluster, "probed", "a", "touch", "/tmp/www/ready")
    cluster.wait("condition=Ready", "pod/probed", timeout=10)
    run_in(cluster, "probed", "a", "touch", "/tmp/sick")
    eventually(lambda: state(cluster, "probed", "a")["restartCount"] == 1)
    events = cluster.kubectl("get", "events", "--field-selector=involvedObject.name=probed").stdout
    assert "Container a failed liveness probe, will be restarted" in events
    assert "Readiness probe failed: " in events  # 404, or refused while the server was not up yet


def test_a_sidecar_is_there_before_and_after_the_main_container(cluster: Cluster, place: Place, tmp_path: Path) -> None:
    def write(word: str) -> str:
        return f"echo {word}-up >> /host/order; trap 'echo {word}-down >> /host/order; exit 0' TERM; "

    wait = "while true; do sleep 0.1; done"
    mounts = {"volumeMounts": [{"name": "host", "mountPath": "/host"}]}
    started = {"startupProbe": {"exec": {"command": ["grep", "-q", "side-up", "/host/order"]}, "periodSeconds": 1}}
    side = container("side", "sh", "-c", write("side") + wait, restartPolicy="Always", **mounts, **started)
    main = container("main", "sh", "-c", write("main") + wait, **mounts)
    host = {"name": "host", "hostPath": {"path": str(tmp_path), "type": "Directory"}}
    place(pod("sided", main, initContainers=[side], volumes=[host], terminationGracePeriodSeconds=10))
    cluster.kubectl("delete", "pod", "sided", "--timeout=20s")
    assert (tmp_path / "order").read_text().split() == ["side-up", "main-up", "main-down", "side-down"]


def test_crashes_back_off_and_leave_their_logs_and_last_words(cluster: Cluster, place: Place) -> None:
    script = "echo life; echo last words > /dev/termination-log; exit 3"
    place(pod("crashing", container("a", "sh", "-c", script)), ready=False)
    found = eventually(
        lambda: (
            (state(cluster, "crashing", "a")["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff"
            and state(cluster, "crashing", "a")
        )
    )
    assert found["restartCount"] == 1
    assert found["lastState"]["terminated"]["exitCode"] == 3
    assert found["lastState"]["terminated"]["message"] == "last words\n"
    assert "back-off 10s restarting failed container=a pod=crashing_default(" in found["state"]["waiting"]["message"]
    assert cluster.kubectl("logs", "crashing", "--previous").stdout == "life\n"


def test_logs_are_followed_to_the_end_of_the_container(cluster: Cluster, place: Place) -> None:
    script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done"
    place(pod("talking", container("a", "sh", "-c", script), restartPolicy="Never"), ready=False)
    cluster.wait("jsonpath={.status.containerStatuses[0].started}=true", "pod/talking")
    followed = cluster.kubectl("logs", "-f", "talking", timeout=20).stdout
    assert followed.split("\n") == [*(f"line {number}" for number in range(1, 6)), ""]
    cluster.wait("jsonpath={.status.phase}=Succeeded", "pod/talking")
    assert cluster.kubectl("logs", "--tail=2", "talking").stdout == "line 4\nline 5\n"


def test_a_container_that_ignores_the_signal_is_killed_after_its_grace(cluster: Cluster, place: Place) -> None:
    stubborn = container("a", "sh", "-c", "trap '' TERM; while true; do sleep 0.1; done")
    place(pod("stubborn", stubborn, terminationGracePeriodSeconds=3))
    words = [*cluster.namespace.enter, str(CLIENTS / "kubectl-1.36"), f"--kubeconfig={cluster.kubeconfig}"]
    watch = subprocess.Popen(
        [*words, "get", "pod", "stubborn", "-w", "-o", "jsonpath={.status.containerStatuses[0].state}{'\\n'}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        cluster.kubectl("delete", "pod", "stubborn", "--timeout=20s")
    finally:
        watch.terminate()
        seen = watch.communicate()[0]
    assert '"exitCode":137' in seen


def test_a_debug_container_joins_a_running_pod(cluster: Cluster, place: Place) -> None:
    place(pod("debugged", container("a")))
    debug = {"name": "debug", "image": "busybox", "imagePullPolicy": "IfNotPresent", "targetContainerName": "a"}
    debug["command"] = ["sh", "-c", "ps | grep -c 'sleep 0.1'; sleep 600"]
    patch = json.dumps({"spec": {"ephemeralContainers": [debug]}})
    cluster.kubectl("patch", "pod", "debugged", "--subresource=ephemeralcontainers", "-p", patch)

    def running() -> bool:
        statuses = cluster.get("pod", "debugged")["status"].get("ephemeralContainerStatuses") or [{}]
        return "running" in statuses[0].get("state", {})

    eventually(running)
    assert int(eventually(lambda: cluster.kubectl("logs", "debugged", "-c", "debug").stdout)) >= 1


def named_after(root: Path, word: str) -> list[str]:
    """Directories below ``root`` with ``word`` in their names; others come and go while we look."""
    found = os.walk(root)
    return [os.path.join(directory, name) for directory, names, _ in found for name in names if word in name]


def test_nothing_of_a_deleted_pod_stays_behind(cluster: Cluster, place: Place) -> None:
    volumes = [{"name": "mem", "emptyDir": {"medium": "Memory"}}, {"name": "disk", "emptyDir": {}}]
    mounts = [
        {"name": "mem", "mountPath": "/mem", "subPath": "inner"},
        {"name": "disk", "mountPath": "/disk", "subPathExpr": "$(POD)"},
    ]
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    place(pod("leaving", container("a", volumeMounts=mounts, env=env), volumes=volumes))
    uid = cluster.get("pod", "leaving")["metadata"]["uid"]
    run_in(cluster, "leaving", "a", "sh", "-c", "echo x > /mem/x; echo y > /disk/y")
    assert uid in Path("/proc/mounts").read_text()
    assert named_after(Path("/sys/fs/cgroup"), f"pod{uid}")
    cluster.kubectl("delete", "pod", "leaving", "--timeout=20s")
    eventually(lambda: not named_after(cluster.data_dir / "node", uid))
    assert uid not in Path("/proc/mounts").read_text()
    assert not named_after(Path("/sys/fs/cgroup"), f"pod{uid}")
