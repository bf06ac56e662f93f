"""Two clusters on one machine: neither sees the other, and the end of one leaves the other alone and nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import CONTEXTS, Cluster, Namespace, eventually
from cluster_traces import traces

SLEEPER = {"name": "a", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}


def pod(name: str) -> dict[str, Any]:
    spec = {"containers": [SLEEPER], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def other(cluster: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    """A second cluster beside the shared one, with the image busybox."""
    namespace = Namespace(f"pk-e2e-other-{os.getpid()}", "192.168.97.10")  # the same address, in another network
    namespace.create()
    other = Cluster(namespace, tmp_path / "other" / "data", cluster.node_name)  # the same name, in another directory
    try:
        other.up()
        other.podkeeper("image build", "-t", "busybox", CONTEXTS / "busybox")
        yield other
    finally:
        if other.data_dir.exists():
            print(other.logs())
            other.podkeeper("reset --yes", check=False)
        namespace.remove()
        shutil.rmtree(other.data_dir, ignore_errors=True)


@pytest.fixture
def resident(cluster: Cluster) -> Iterator[str]:
    """A pod of the shared cluster."""
    cluster.apply(pod("resident"))
    cluster.wait("condition=Ready", "pod/resident")
    yield "resident"
    cluster.kubectl("delete", "pod", "resident")


def container(cluster: Cluster, name: str) -> dict[str, Any]:
    return dict(cluster.get("pod", name)["status"]["containerStatuses"][0])


def sandboxes(cluster: Cluster) -> set[str]:
    """Network devices of pods on the cluster's bridge."""
    rows = json.loads(cluster.run("ip", "-j", "link", "show", "type", "veth").stdout or "[]")
    return {row["ifname"] for row in rows if row}


def test_clusters_do_not_see_each_other_and_reset_leaves_nothing(
    cluster: Cluster, other: Cluster, resident: str
) -> None:
    before, links = container(cluster, resident), sandboxes(cluster)
    other.apply(pod("guest"))
    other.wait("condition=Ready", "pod/guest")

    # Neither knows of the other's pods, nodes, or containers.
    assert other.kubectl("get", "pods", "-A", "-o", "name").stdout.split() == ["pod/guest"]
    assert other.kubectl("get", "nodes", "-o", "name").stdout.split() == [f"node/{other.node_name}"]
    assert "pod/guest" not in cluster.kubectl("get", "pods", "-A", "-o", "name").stdout
    assert cluster.kubectl("get", "nodes", "-o", "name").stdout.split() == [f"node/{cluster.node_name}"]
    assert sandboxes(cluster) == links
    assert len(sandboxes(other)) == 1
    assert "nginx" not in other.podkeeper("image ls").stdout
    # The credentials of the one open nothing of the other.
    token = cluster.podkeeper("token", "--as-admin").stdout.strip()
    code = (
        "import sys,ssl,urllib.request as u,urllib.error as e\n"
        "request = u.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]})\n"
        "try: print(u.urlopen(request, context=ssl._create_unverified_context()).status)\n"
        "except e.HTTPError as error: print(error.status)"
    )
    url = f"https://{other.namespace.address}:6443/version"
    assert other.run("python3", "-c", code, url, token).stdout.strip() == "401"
    assert cluster.run("python3", "-c", code, url, token).stdout.strip() == "200"

    # All that is looked for afterwards is there now: the looking can fail.
    assert all(traces(other).values()), traces(other)
    shared = traces(cluster)

    other.podkeeper("reset --yes")
    assert traces(other) == {key: [] for key in ("processes", "mounts", "groups", "links", "tables", "files")}
    assert traces(cluster)["links"] == shared["links"]
    assert traces(cluster)["mounts"] == shared["mounts"]
    assert container(cluster, resident) == before
    assert cluster.kubectl("exec", resident, "--", "echo", "here").stdout == "here\n"


def test_a_reset_after_every_process_was_killed_leaves_nothing(other: Cluster) -> None:
    other.apply(pod("orphan"))
    other.wait("condition=Ready", "pod/orphan")
    for component in ("supervisor", "apiserver", "controllers", "node"):
        for pid in other.pids(component):
            subprocess.run(["kill", "-KILL", str(pid)], check=False)  # a parent's death may have ended it
    eventually(lambda: not any(other.pids(each) for each in ("supervisor", "apiserver", "controllers", "node")))
    left = traces(other)
    assert left["processes"]  # the containers go on
    assert left["mounts"]
    other.podkeeper("reset --yes")
    assert not any(traces(other).values()), traces(other)


def test_a_reset_asks_and_a_second_one_is_harmless(other: Cluster) -> None:
    done = other.podkeeper("reset", check=False, input="n\n")
    assert done.returncode != 0
    assert other.kubectl("get", "--raw", "/readyz").stdout == "ok"
    other.podkeeper("reset --yes")
    assert other.podkeeper("reset --yes").returncode == 0
    other.up()
    assert other.kubectl("get", "pods", "-A", "-o", "name").stdout == ""
