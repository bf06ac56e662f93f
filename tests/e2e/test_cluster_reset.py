"""reset exits with 0 only when nothing is left, whatever was killed before and whatever stands in the way."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import PODKEEPER, Cluster, Namespace, eventually
from cluster_traces import traces

from podkeeper.testing.scratch_engine import busybox_archive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")
#: More of them find rarer faults: PODKEEPER_KILL_ROUNDS=20
ROUNDS = int(os.environ.get("PODKEEPER_KILL_ROUNDS", "3"))
COMPONENTS = ("supervisor", "apiserver", "controllers", "node")
SECONDS_UNTIL_KILLED = {"up": 2.5, "pods": 1.5, "down": 1.0}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that is not started yet, in a network of its own."""
    namespace = Namespace(f"pk-e2e-reset-{os.getpid()}", "192.168.96.10")
    namespace.create()
    cluster = Cluster(namespace, tmp_path / "data", f"reset-{os.getpid()}")
    try:
        yield cluster
    finally:
        cluster.podkeeper("reset --yes", check=False)
        namespace.remove()
        shutil.rmtree(cluster.data_dir, ignore_errors=True)


def start(cluster: Cluster, tmp_path: Path) -> None:
    cluster.up()
    cluster.podkeeper("image import", busybox_archive(tmp_path))


def pod(name: str, script: str = "sleep 600") -> dict[str, Any]:
    container = {"name": "a", "image": "busybox", "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def reset_leaves_nothing(cluster: Cluster) -> None:
    done = cluster.podkeeper("reset --yes", check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert not any(traces(cluster).values()), traces(cluster)


def in_background(cluster: Cluster, *words: str) -> subprocess.Popen[bytes]:
    """Runs a podkeeper command on the cluster without waiting for it."""
    command = [*cluster.namespace.enter, PODKEEPER, *words, "--data-dir", cluster.data_dir]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([str(each) for each in command], stdin=quiet, stdout=quiet, stderr=quiet)


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def begin(cluster: Cluster, phase: str, tmp_path: Path) -> list[subprocess.Popen[bytes]]:
    """Brings the cluster to where the phase begins, and begins it."""
    identity = ("--node-name", cluster.node_name, "--node-ip", cluster.namespace.address)
    if phase == "up":
        return [in_background(cluster, "up", "--detach", *identity)]
    start(cluster, tmp_path)
    cluster.apply(*(pod(f"p{number}") for number in range(4)))
    if phase == "down":
        cluster.wait("condition=Ready", "pod/p0")
        return [in_background(cluster, "down")]
    return []


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("phase", ["up", "pods", "down"])
def test_after_a_kill_at_any_moment_reset_leaves_nothing(
    cluster: Cluster, tmp_path: Path, phase: str, round_: int
) -> None:
    chance = random.Random(f"{phase} {round_} {os.environ.get('PODKEEPER_KILL_SEED', '')}")
    commands = begin(cluster, phase, tmp_path)
    victims = chance.choice([*COMPONENTS, COMPONENTS, "command"])
    time.sleep(chance.uniform(0, SECONDS_UNTIL_KILLED[phase]))  # the moment is what is tried out
    if victims == "command":
        kill([each.pid for each in commands])
    else:
        kill([pid for name in ([victims] if isinstance(victims, str) else victims) for pid in cluster.pids(name)])
    done = cluster.podkeeper("reset --yes", check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for each in commands:
        each.wait(130)  # an up that had not yet made anything goes on after the reset
    reset_leaves_nothing(cluster)


def test_reset_waits_for_nobody_who_clings_to_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """A pod that ignores SIGTERM, a shell in one of its volumes, a pager on a log, an interface without a pod."""
    start(cluster, tmp_path)
    stubborn = pod("stubborn", "trap '' TERM; while :; do sleep 600; done")
    stubborn["spec"]["volumes"] = [{"name": "v", "emptyDir": {"medium": "Memory"}}]
    stubborn["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    cluster.apply(stubborn)
    cluster.wait("condition=Ready", "pod/stubborn")
    volume = next(cluster.data_dir.glob("node/kubelet/pods/*/volumes/*/v"))
    holders = [
        subprocess.Popen(["sleep", "600"], cwd=volume),
        subprocess.Popen(["tail", "-f", cluster.data_dir / "logs" / "node.log"], stdout=subprocess.DEVNULL),
    ]
    cluster.run("ip", "link", "add", "stale0", "type", "veth", "peer", "name", "stale1")
    cluster.run("ip", "link", "set", "stale0", "master", "podkeeper0")
    try:
        cluster.podkeeper("reset --yes")
    finally:
        for each in holders:
            each.kill()
            each.wait()
    assert not any(traces(cluster).values()), traces(cluster)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize(
    "harm",
    [
        lambda root: truncate(root / "cluster.json"),
        lambda root: (root / "cluster.json").unlink(),
        lambda root: truncate(root / "node" / "runtime" / "engine.json"),
        lambda root: [truncate(each) for each in root.glob("node/runtime/*/*/record.json")],
        lambda root: (root / "run" / "supervisor.pid").write_text("nonsense"),
    ],
    ids=["settings torn", "settings gone", "engine's settings torn", "records torn", "process id torn"],
)
def test_a_damaged_data_directory_is_no_obstacle(
    cluster: Cluster, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    start(cluster, tmp_path)
    cluster.apply(pod("a"))
    cluster.wait("condition=Ready", "pod/a")
    kill([pid for name in COMPONENTS for pid in cluster.pids(name)])
    eventually(lambda: not any(cluster.pids(name) for name in COMPONENTS))
    harm(cluster.data_dir)
    reset_leaves_nothing(cluster)


def test_a_directory_that_is_no_clusters_is_left_alone(cluster: Cluster) -> None:
    (cluster.data_dir / "photos").mkdir(parents=True)
    assert "nothing of a cluster" in cluster.podkeeper("reset --yes").stdout
    done = cluster.podkeeper("up --detach", check=False)
    assert done.returncode != 0
    assert "photos" in done.stderr
    assert list(cluster.data_dir.iterdir()) == [cluster.data_dir / "photos"]
