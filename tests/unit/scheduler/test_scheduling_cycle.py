"""One decision at a time: who fits, who is best, and upstream's words when nobody does."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.cycle import NO_NODES, Cycle, Unschedulable
from podkeeper.scheduler.plugins import default_filters, default_scores
from podkeeper.scheduler.pod_facts import PodFacts, pod_facts

CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "10"}


def node(
    name: str, *, labels: dict[str, str] | None = None, capacity: dict[str, str] | None = None, **spec: Any
) -> v1.Node:
    tree = {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": capacity or CAPACITY},
    }
    return codec.from_tree(v1.Node, tree)


def pod(name: str, *, cpu: str = "", ports: tuple[int, ...] = (), **spec: Any) -> PodFacts:
    container: dict[str, Any] = {"name": "c", "image": "busybox"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    if ports:
        container["ports"] = [{"containerPort": each, "hostPort": each, "protocol": "TCP"} for each in ports]
    tree = {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"containers": [container], **spec},
    }
    return pod_facts(codec.from_tree(v1.Pod, tree))


def cluster(*nodes: v1.Node) -> Columns:
    columns = Columns()
    for each in nodes:
        columns.put_node(each)
    return columns


def decide(facts: PodFacts, columns: Columns) -> str | Unschedulable:
    return Cycle(default_filters(), default_scores(), Random(1)).decide(facts, columns)


def refusal(facts: PodFacts, columns: Columns) -> str:
    outcome = decide(facts, columns)
    assert isinstance(outcome, Unschedulable), outcome
    return outcome.message


def test_without_nodes_the_message_is_short() -> None:
    assert refusal(pod("a"), cluster()) == NO_NODES


def test_a_pod_goes_where_it_fits() -> None:
    columns = cluster(node("small", capacity={"cpu": "1", "memory": "8Gi", "pods": "10"}), node("large"))
    assert decide(pod("a", cpu="2"), columns) == "large"


def test_every_reason_is_counted_in_upstreams_words() -> None:
    columns = cluster(
        node(
            "cordoned", unschedulable=True, taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
        ),
        node("tainted", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        node("other", labels={"disk": "hdd"}),
        node("full", labels={"disk": "ssd"}, capacity={"cpu": "1", "memory": "1Gi", "pods": "0"}),
    )
    message = refusal(pod("a", cpu="2", nodeSelector={"disk": "ssd"}), columns)
    reasons = [
        "1 Insufficient cpu",
        "1 Too many pods",
        "1 node(s) didn't match Pod's node affinity/selector",
        "1 node(s) had untolerated taint(s)",
        "1 node(s) were unschedulable",
    ]
    preemption = "0/4 nodes are available: 4 Preemption is not helpful for scheduling."
    listed = ", ".join(reasons)
    assert message == f"0/4 nodes are available: {listed}. no new claims to deallocate, preemption: {preemption}"


def test_preemption_could_help_where_pods_are_in_the_way() -> None:
    columns = cluster(node("one"))
    columns.put_pod("one", pod("big", cpu="3"))
    assert refusal(pod("a", cpu="2"), columns).endswith(
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_tolerations_open_tainted_and_cordoned_nodes() -> None:
    columns = cluster(node("one", unschedulable=True, taints=[{"key": "gpu", "effect": "NoSchedule"}]))
    assert isinstance(decide(pod("a"), columns), Unschedulable)
    assert decide(pod("a", tolerations=[{"operator": "Exists"}]), columns) == "one"


def test_a_host_port_is_given_once_and_again_when_it_is_free() -> None:
    columns = cluster(node("one"))
    columns.put_pod("one", pod("holder", ports=(80,)))
    assert "didn't have free ports" in refusal(pod("a", ports=(80,)), columns)
    assert decide(pod("b", ports=(81,)), columns) == "one"
    columns.remove_pod("holder")
    assert decide(pod("a", ports=(80,)), columns) == "one"


def test_a_named_node_is_the_only_one() -> None:
    columns = cluster(node("one"), node("two"))
    assert decide(pod("a", nodeName="two"), columns) == "two"
    assert "didn't match the requested node name" in refusal(pod("a", nodeName="three"), columns)


def test_required_affinity_filters_and_preferred_affinity_ranks() -> None:
    columns = cluster(node("east", labels={"zone": "east"}), node("west", labels={"zone": "west"}))

    def wants(kind: str) -> dict[str, Any]:
        term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["west"]}]}
        if kind == "required":
            return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
        preferred = [{"weight": 10, "preference": term}]
        return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}

    assert decide(pod("a", affinity=wants("required")), columns) == "west"
    assert decide(pod("b", affinity=wants("preferred")), columns) == "west"


def test_the_emptier_node_is_better() -> None:
    columns = cluster(node("busy"), node("idle"))
    columns.put_pod("busy", pod("load", cpu="3"))
    assert decide(pod("a", cpu="500m"), columns) == "idle"


def test_soft_taints_cost_rank_only() -> None:
    columns = cluster(node("soft", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), node("plain"))
    assert decide(pod("a"), columns) == "plain"
    columns.remove_node("plain")
    assert decide(pod("a"), columns) == "soft"


def test_a_label_that_changes_changes_the_answer() -> None:
    columns = cluster(node("one"))
    facts = pod("a", nodeSelector={"disk": "ssd"})
    assert isinstance(decide(facts, columns), Unschedulable)
    columns.put_node(node("one", labels={"disk": "ssd"}))
    assert decide(facts, columns) == "one"


def test_what_pods_use_survives_their_nodes_return() -> None:
    columns = cluster(node("one"))
    columns.put_pod("one", pod("load", cpu="3"))
    columns.remove_node("one")
    columns.put_node(node("one"))
    assert isinstance(decide(pod("a", cpu="2"), columns), Unschedulable)


def test_a_pod_seen_before_its_node_counts_once_the_node_comes() -> None:
    columns = Columns()
    columns.put_pod("one", pod("load", cpu="3"))
    columns.put_pod("one", pod("load", cpu="3"))
    columns.put_node(node("one"))
    assert columns.requested("cpu").tolist() == [3000]


@pytest.mark.parametrize("count", [1, 17, 40])
def test_rows_grow_and_are_given_on(count: int) -> None:
    columns = cluster(*(node(f"n{number}") for number in range(count)))
    facts = pod("a", nodeSelector={"kubernetes.io/hostname": f"n{count - 1}"})
    assert decide(facts, columns) == f"n{count - 1}"
    columns.remove_node(f"n{count - 1}")
    assert isinstance(decide(facts, columns), Unschedulable)
    columns.put_node(node("fresh"))
    assert (columns.size, len(columns)) == (count, count)
