"""The tutorial's pod and what a newcomer does with it, through real kubectl of two versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster_harness import ROOT, Cluster

pytestmark = pytest.mark.usefixtures("cluster")
MANIFEST = ROOT / "examples" / "nginx-pod.yaml"


@pytest.fixture(scope="module", autouse=True)
def nginx(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", str(MANIFEST))
    cluster.wait("condition=Ready", "pod/nginx-pod")


def page(cluster: Cluster, address: str) -> str:
    code = f"import urllib.request; print(urllib.request.urlopen('http://{address}/', timeout=5).read().decode())"
    return cluster.run("python3", "-c", code).stdout


def test_the_page_comes_from_the_pods_address(cluster: Cluster) -> None:
    address = cluster.get("pod", "nginx-pod")["status"]["podIP"]
    assert "Welcome to nginx!" in page(cluster, address)


@pytest.mark.parametrize("version", ["1.36", "1.34"])
def test_kubectl_shows_the_pod_as_upstream_does(cluster: Cluster, version: str) -> None:
    head, row = cluster.kubectl("get", "pods", "nginx-pod", version=version).stdout.splitlines()
    assert head.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["nginx-pod", "1/1", "Running", "0"]
    wide = cluster.kubectl("get", "pods", "nginx-pod", "-o", "wide", version=version).stdout.splitlines()[0]
    assert wide.split()[5:] == ["IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]


@pytest.mark.parametrize("version", ["1.36", "1.34"])
def test_logs_and_exec(cluster: Cluster, version: str) -> None:
    assert "start worker process" in cluster.kubectl("logs", "nginx-pod", version=version).stdout
    last = cluster.kubectl("logs", "nginx-pod", "--tail=1", "--timestamps", version=version).stdout.splitlines()
    assert len(last) == 1
    assert last[0][:4].isdigit()
    done = cluster.kubectl(
        "exec", "nginx-pod", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False, version=version
    )
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "err" in done.stderr
    assert (
        cluster.kubectl("exec", "-i", "nginx-pod", "--", "cat", input="through\n", version=version).stdout
        == "through\n"
    )


def test_the_event_says_where_the_image_came_from(cluster: Cluster) -> None:
    events = json.loads(cluster.kubectl("get", "events", "-o", "json").stdout)["items"]
    messages = [each["message"] for each in events if each["reason"] == "Pulled"]
    assert any("No registry answered" in message and "nginx:latest" in message for message in messages), messages


def test_the_events_of_a_start_are_upstreams(cluster: Cluster) -> None:
    events = json.loads(cluster.kubectl("get", "events", "-o", "json").stdout)["items"]
    about = {each["reason"] for each in events if each["involvedObject"]["name"] == "nginx-pod"}
    assert {"Scheduled", "Pulling", "Pulled", "Created", "Started"} <= about


def test_our_own_small_clients(cluster: Cluster) -> None:
    assert "nginx-pod" in cluster.podkeeper("get", "pods").stdout
    assert "unchanged" in cluster.podkeeper("apply", "-f", MANIFEST).stdout
    assert "start worker" in cluster.podkeeper("logs", "nginx-pod").stdout
    done = cluster.podkeeper("exec", "nginx-pod", "sh", "-c", "echo hi; exit 4", check=False)
    assert (done.returncode, done.stdout) == (4, "hi\n")


def test_status_is_well(cluster: Cluster) -> None:
    done = cluster.podkeeper("status")
    assert all(line.startswith("ok") for line in done.stdout.splitlines()), done.stdout


def test_a_second_up_changes_nothing(cluster: Cluster) -> None:
    before = {name: cluster.pids(name) for name in ("supervisor", "apiserver", "controllers", "node")}
    assert "running already" in cluster.up().stdout
    assert {name: cluster.pids(name) for name in before} == before


def test_the_token_is_the_administrators(cluster: Cluster, tmp_path: Path) -> None:
    token = cluster.podkeeper("token", "--as-admin").stdout.strip()
    empty = tmp_path / "none"
    empty.write_text("")
    server = f"--server=https://{cluster.namespace.address}:6443"
    words = ["--kubeconfig", str(empty), server, "--insecure-skip-tls-verify", "--token", token]
    done = cluster.run(ROOT / ".cache/clients/kubectl-1.36", *words, "get", "nodes", "-o", "name")
    assert done.stdout.strip() == f"node/{cluster.node_name}"
