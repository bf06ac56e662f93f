"""Killing each process of a running cluster: what was running goes on running, what was acknowledged is there."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from cluster_harness import Cluster, eventually

SLEEPER = {"name": "a", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "6000"]}


@pytest.fixture
def pod(cluster: Cluster) -> Iterator[str]:
    cluster.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "survivor"}, "spec": {"containers": [SLEEPER]}}
    )
    cluster.wait("condition=Ready", "pod/survivor")
    yield "survivor"
    cluster.kubectl("delete", "pod", "survivor", "--grace-period=0", "--force")


def container(cluster: Cluster, name: str) -> dict[str, Any]:
    return dict(cluster.get("pod", name)["status"]["containerStatuses"][0])


def kill(cluster: Cluster, component: str) -> None:
    """SIGKILLs a component and waits until another one has taken its place."""
    before = cluster.pids(component)
    assert len(before) == 1
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: (now := cluster.pids(component)) and now != before)


def answers(cluster: Cluster) -> bool:
    return cluster.kubectl("get", "--raw", "/readyz", check=False).returncode == 0


def test_the_nodes_death_leaves_containers_alone_and_its_successor_adopts_them(cluster: Cluster, pod: str) -> None:
    before = container(cluster, pod)
    kill(cluster, "node")
    eventually(lambda: cluster.kubectl("exec", pod, "--", "true", check=False).returncode == 0)
    after = container(cluster, pod)
    assert after["containerID"] == before["containerID"]
    assert after["restartCount"] == 0
    assert after["state"] == before["state"]


def test_what_ends_while_the_node_is_down_is_noticed(cluster: Cluster, pod: str) -> None:
    identity = container(cluster, pod)["containerID"].partition("://")[2]
    os.kill(cluster.pids("node")[0], signal.SIGKILL)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cgroup") as file:
                    mine = identity in file.read()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if mine:
                os.kill(int(entry), signal.SIGKILL)
    eventually(lambda: container(cluster, pod)["restartCount"] == 1 and container(cluster, pod)["ready"])


def test_the_api_servers_death_loses_nothing_and_everyone_comes_back(cluster: Cluster, pod: str) -> None:
    cluster.kubectl(
        "create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}})
    )
    before = container(cluster, pod)
    kill(cluster, "apiserver")
    eventually(lambda: answers(cluster))
    assert cluster.get("configmap", "kept")["metadata"]["name"] == "kept"
    assert container(cluster, pod) == before
    other = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "after"}, "spec": {"containers": [SLEEPER]}}
    cluster.apply(other)
    cluster.wait("condition=Ready", "pod/after")
    cluster.kubectl("delete", "pod", "after", "--grace-period=0", "--force")
    cluster.kubectl("delete", "configmap", "kept")


def test_the_controllers_death_is_made_good(cluster: Cluster) -> None:
    kill(cluster, "controllers")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    eventually(lambda: "default" in cluster.kubectl("get", "sa", "-n", "fresh", "-o", "name").stdout)
    cluster.kubectl("delete", "namespace", "fresh", "--timeout=30s")


def test_the_supervisors_death_ends_its_children_and_up_starts_again(cluster: Cluster, pod: str) -> None:
    before = container(cluster, pod)
    os.kill(cluster.pids("supervisor")[0], signal.SIGKILL)
    for component in ("apiserver", "controllers", "node"):
        eventually(lambda component=component: not cluster.pids(component))
    cluster.up()
    assert container(cluster, pod)["containerID"] == before["containerID"]


def test_down_stops_everything_and_up_brings_the_pods_back(cluster: Cluster, pod: str) -> None:
    cluster.podkeeper("down")
    assert not any(cluster.pids(each) for each in ("supervisor", "apiserver", "controllers", "node"))
    cluster.up()

    def back() -> bool:
        status = container(cluster, pod)
        return bool(status["ready"]) and status["restartCount"] == 1

    eventually(back)
