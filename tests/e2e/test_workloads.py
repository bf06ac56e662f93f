"""Replica sets and deployments: scaling, replacement of what is lost, and a change of the template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cluster_harness import Cluster, eventually


@pytest.fixture
def web(cluster: Cluster) -> Iterator[str]:
    sleeper = {"name": "a", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "6000"]}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [sleeper], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    yield "web"
    cluster.kubectl("scale", "deployment/web", "--replicas=0")
    eventually(lambda: not pods(cluster))
    cluster.kubectl("delete", "deployment", "web", "--cascade=orphan")
    cluster.kubectl("delete", "replicasets", "-l", "app=web", "--cascade=orphan")


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    return list(json.loads(cluster.kubectl("get", "pods", "-l", "app=web", "-o", "json").stdout)["items"])


def running(cluster: Cluster) -> set[str]:
    return {each["metadata"]["name"] for each in pods(cluster) if "deletionTimestamp" not in each["metadata"]}


def test_the_row_is_upstreams(cluster: Cluster, web: str) -> None:
    head, row = cluster.kubectl("get", "deployment", web).stdout.splitlines()
    assert head.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == ["web", "2/2", "2", "2"]


def test_scaling_up_and_down(cluster: Cluster, web: str) -> None:
    cluster.kubectl("scale", f"deployment/{web}", "--replicas=4")
    cluster.kubectl("rollout", "status", f"deployment/{web}", "--timeout=60s")
    assert len(running(cluster)) == 4
    cluster.kubectl("scale", f"deployment/{web}", "--replicas=1")
    eventually(lambda: len(pods(cluster)) == 1)


def test_a_lost_pod_is_replaced(cluster: Cluster, web: str) -> None:
    lost = sorted(running(cluster))[0]
    cluster.kubectl("delete", "pod", lost, "--grace-period=0", "--force")
    cluster.kubectl("rollout", "status", f"deployment/{web}", "--timeout=60s")
    now = eventually(lambda: (found := running(cluster)) and len(found) == 2 and found)
    assert lost not in now


def test_a_new_template_replaces_every_pod_and_can_be_undone(cluster: Cluster, web: str) -> None:
    before = running(cluster)
    cluster.kubectl("set", "env", f"deployment/{web}", "COLOUR=blue")
    cluster.kubectl("rollout", "status", f"deployment/{web}", "--timeout=60s")
    after = eventually(lambda: (found := running(cluster)) and len(found) == 2 and not (found & before) and found)
    history = cluster.kubectl("rollout", "history", f"deployment/{web}").stdout
    assert [line.split()[0] for line in history.splitlines()[2:4]] == ["1", "2"]
    cluster.kubectl("rollout", "undo", f"deployment/{web}")
    cluster.kubectl("rollout", "status", f"deployment/{web}", "--timeout=60s")
    eventually(lambda: not (running(cluster) & after))


def test_the_events_of_scaling_are_upstreams(cluster: Cluster, web: str) -> None:
    def told() -> bool:
        events = json.loads(cluster.kubectl("get", "events", "-o", "json").stdout)["items"]
        found = {(each["involvedObject"]["kind"], each["reason"]) for each in events}
        return {("Deployment", "ScalingReplicaSet"), ("ReplicaSet", "SuccessfulCreate")} <= found

    eventually(told)
