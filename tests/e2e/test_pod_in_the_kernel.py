"""What the kernel shows of a pod: namespaces, shared memory, semaphores, volumes, cgroups, signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import Cluster, eventually

SHARED, OWN = ("net", "ipc", "uts"), ("mnt", "pid")


def container(name: str, *command: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": list(command), **fields}


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": list(containers), "terminationGracePeriodSeconds": 1, **spec},
    }


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Any]:
    """Applies pods, waits until they are ready, and deletes them in the end."""
    names: list[str] = []

    def apply(*pods: dict[str, Any], ready: bool = True) -> None:
        names.extend(each["metadata"]["name"] for each in pods)
        cluster.apply(*pods)
        for each in pods if ready else ():
            cluster.wait("condition=Ready", f"pod/{each['metadata']['name']}")

    yield apply
    if names:
        cluster.kubectl("delete", "pod", *names, "--ignore-not-found", "--grace-period=1")


def exec_in(cluster: Cluster, name: str, where: str, *command: str) -> str:
    return cluster.kubectl("exec", name, "-c", where, "--", *command).stdout.strip()


def main_pid(cluster: Cluster, name: str, where: str) -> int:
    """The container's first process as the host sees it, found by its cgroup and the container's id."""
    statuses = cluster.get("pod", name)["status"]["containerStatuses"]
    identity = next(each["containerID"] for each in statuses if each["name"] == where).partition("://")[2]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if identity in (entry / "cgroup").read_text():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return min(found)


def namespaces(pid: int) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in (*SHARED, *OWN)}


def test_containers_share_what_a_pod_shares_and_nothing_else(cluster: Cluster, place: Any) -> None:
    place(pod("duo", container("a", "sleep", "600"), container("b", "sleep", "600")))
    first, second = (namespaces(main_pid(cluster, "duo", each)) for each in ("a", "b"))
    host = namespaces(os.getpid())
    for kind in SHARED:
        assert first[kind] == second[kind] != host[kind], kind
    for kind in OWN:
        assert len({first[kind], second[kind], host[kind]}) == 3, kind


def test_a_shared_process_namespace_is_one(cluster: Cluster, place: Any) -> None:
    place(pod("one-pid", container("a", "sleep", "600"), container("b", "sleep", "600"), shareProcessNamespace=True))
    first, second = (namespaces(main_pid(cluster, "one-pid", each)) for each in ("a", "b"))
    assert first["pid"] == second["pid"]
    assert "/pause" in exec_in(cluster, "one-pid", "a", "cat", "/proc/1/cmdline")


def test_containers_talk_over_localhost_shared_memory_and_a_volume(cluster: Cluster, place: Any) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    server = container("server", "sh", "-c", "echo from-server > /shared/file; echo memory > /dev/shm/file; "
                       "while true; do echo over-localhost | nc -l -p 7000; done", volumeMounts=mounts)  # fmt: skip
    client = container("client", "sleep", "600", volumeMounts=mounts)
    place(pod("talk", server, client, volumes=[{"name": "shared", "emptyDir": {}}]))
    assert eventually(lambda: exec_in(cluster, "talk", "client", "nc", "127.0.0.1", "7000")) == "over-localhost"
    assert exec_in(cluster, "talk", "client", "cat", "/dev/shm/file") == "memory"
    assert exec_in(cluster, "talk", "client", "cat", "/shared/file") == "from-server"


def test_a_semaphore_is_seen_by_both(cluster: Cluster, place: Any) -> None:
    place(pod("sem", container("a", "sleep", "600"), container("b", "sleep", "600")))
    first, second = (main_pid(cluster, "sem", each) for each in ("a", "b"))
    key = 0x504B
    make = f"import ctypes,os,sys; l=ctypes.CDLL(None); print(l.semget({key}, 1, {{flags}}))"
    for pid, flags in ((first, "0o1600"), (second, "0")):
        inside = ["nsenter", f"--ipc=/proc/{pid}/ns/ipc", "python3", "-c", make.format(flags=flags)]
        assert int(cluster.run(*inside).stdout) >= 0
    outside = cluster.run("python3", "-c", make.format(flags="0")).stdout
    assert int(outside) == -1


def test_two_pods_have_two_addresses_and_reach_each_other(cluster: Cluster, place: Any) -> None:
    serve = container("c", "sh", "-c", "while true; do echo $HOSTNAME | nc -l -p 7000; done")
    place(pod("left", serve), pod("right", serve))
    left, right = (cluster.get("pod", name)["status"]["podIP"] for name in ("left", "right"))
    assert left != right
    assert eventually(lambda: exec_in(cluster, "left", "c", "nc", right, "7000")) == "right"


def test_an_app_container_that_dies_is_restarted_alone(cluster: Cluster, place: Any) -> None:
    place(pod("alone", container("a", "sleep", "600"), container("b", "sleep", "600")))
    before = main_pid(cluster, "alone", "b")
    os.kill(main_pid(cluster, "alone", "a"), signal.SIGKILL)

    def restarted() -> bool:
        statuses = cluster.get("pod", "alone")["status"]["containerStatuses"]
        counts = {each["name"]: (each["restartCount"], each["ready"]) for each in statuses}
        return counts == {"a": (1, True), "b": (0, True)}

    eventually(restarted)
    assert main_pid(cluster, "alone", "b") == before
    state = next(each for each in cluster.get("pod", "alone")["status"]["containerStatuses"] if each["name"] == "a")
    assert state["lastState"]["terminated"]["exitCode"] == 137


def test_the_infra_containers_death_rebuilds_the_sandbox(cluster: Cluster, place: Any) -> None:
    place(pod("rebuilt", container("a", "sleep", "600"), shareProcessNamespace=True))
    pid = main_pid(cluster, "rebuilt", "a")
    old = namespaces(pid)["net"]
    candidates = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and _is_pause(each, old)]
    assert len(candidates) == 1
    os.kill(candidates[0], signal.SIGKILL)

    def rebuilt() -> bool:
        status = cluster.get("pod", "rebuilt")["status"]
        ready = {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == "True"
        return ready and status["containerStatuses"][0]["restartCount"] >= 1

    eventually(rebuilt)
    assert namespaces(main_pid(cluster, "rebuilt", "a"))["net"] != old


def _is_pause(entry: Path, netns: str) -> bool:
    try:
        return os.readlink(entry / "ns/net") == netns and b"pause" in (entry / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it ended meanwhile, or is not ours to look at


def test_a_new_image_restarts_the_container_in_place(cluster: Cluster, place: Any) -> None:
    place(pod("inplace", container("a", "sh", "-c", "sleep 600 || nginx -g 'daemon off;'")))
    uid = cluster.get("pod", "inplace")["metadata"]["uid"]
    cluster.kubectl("set", "image", "pod/inplace", "a=nginx")

    def replaced() -> bool:
        status = cluster.get("pod", "inplace")["status"]["containerStatuses"][0]
        return "nginx" in status["image"] and status["restartCount"] == 1 and status["ready"]

    eventually(replaced)
    assert cluster.get("pod", "inplace")["metadata"]["uid"] == uid


def test_memory_that_is_not_there_kills_with_137(cluster: Cluster, place: Any) -> None:
    limits = {"limits": {"memory": "32Mi"}}
    hog = container("a", "sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1", resources=limits)
    hog["command"] = ["sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=200M count=1"]
    place(pod("hog", hog, restartPolicy="Never"), ready=False)

    def killed() -> dict[str, Any] | None:
        statuses = cluster.get("pod", "hog")["status"].get("containerStatuses") or [{}]
        return statuses[0].get("state", {}).get("terminated")

    state = eventually(killed)
    assert (state["exitCode"], state["reason"]) == (137, "OOMKilled")


def test_cgroups_carry_requests_and_limits(cluster: Cluster, place: Any) -> None:
    resources = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
    place(pod("limited", container("a", "sleep", "600", resources=resources)))
    lines = Path(f"/proc/{main_pid(cluster, 'limited', 'a')}/cgroup").read_text().splitlines()
    groups = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    if "memory" in groups:
        memory = Path("/sys/fs/cgroup/memory" + groups["memory"])
        cpu = Path("/sys/fs/cgroup/cpu" + groups["cpu"])
        assert int((memory / "memory.limit_in_bytes").read_text()) == 64 << 20
        assert int((cpu / "cpu.cfs_quota_us").read_text()) == 50_000
        assert int((cpu / "cpu.shares").read_text()) == 256
        assert int((memory.parent / "memory.limit_in_bytes").read_text()) == 64 << 20
        pids = Path("/sys/fs/cgroup/pids" + groups["pids"])
        assert [int((each / "pids.max").read_text()) for each in (pids, pids.parent)] == [4096, 4096]
    else:
        group = Path("/sys/fs/cgroup" + groups[""])
        assert int((group / "memory.max").read_text()) == 64 << 20
        assert (group / "cpu.max").read_text().split() == ["50000", "100000"]
        assert [int((each / "pids.max").read_text()) for each in (group, group.parent)] == [4096, 4096]


def test_init_containers_run_in_order_before_the_others(cluster: Cluster, place: Any) -> None:
    mounts = [{"name": "d", "mountPath": "/d"}]
    inits = [container(each, "sh", "-c", f"echo {each} >> /d/order", volumeMounts=mounts) for each in ("one", "two")]
    main = container("main", "sh", "-c", "cat /d/order; sleep 600", volumeMounts=mounts)
    place(pod("ordered", main, initContainers=inits, volumes=[{"name": "d", "emptyDir": {"medium": "Memory"}}]))
    assert cluster.kubectl("logs", "ordered").stdout == "one\ntwo\n"
    assert exec_in(cluster, "ordered", "main", "stat", "-f", "-c", "%T", "/d") == "tmpfs"


def test_pods_end_gracefully_with_their_pre_stop_hook(cluster: Cluster, tmp_path: Path) -> None:
    mounts = [{"name": "host", "mountPath": "/host"}]
    script = "trap 'echo term >> /host/order; exit 0' TERM; while true; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /host/order"]}}}
    volumes = [{"name": "host", "hostPath": {"path": str(tmp_path)}}]
    main = container("a", "sh", "-c", script, volumeMounts=mounts, lifecycle=hook)
    cluster.apply(pod("graceful", main, volumes=volumes, terminationGracePeriodSeconds=20))
    cluster.wait("condition=Ready", "pod/graceful")
    cluster.kubectl("delete", "pod", "graceful", "--timeout=15s")
    assert (tmp_path / "order").read_text() == "hook\nterm\n"
