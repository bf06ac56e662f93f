"""Nodes that fall silent, conditions as taints, and what becomes of pods on them; time is the test's."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.core import v1
from podkeeper.controllers.framework import Key
from podkeeper.controllers.node_lifecycle import NodeLifecycle
from podkeeper.controllers.pod_gc import PodGarbage
from podkeeper.controllers.taint_eviction import TaintEviction
from podkeeper.foundation.exposition import render
from podkeeper.testing.fake_clock import FakeClock

NODE, POD = Key("", "n1"), Key("default", "p")
KINDS = (v1.Node, v1.Pod, coordination.Lease)


def condition(kind: str, status: str) -> dict[str, Any]:
    beat = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "lastHeartbeatTime": beat, "lastTransitionTime": beat}


async def make_node(house: Any, *conditions: dict[str, Any], **spec: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": spec})
    nodes = house.api.of(v1.Node)
    await nodes.patch("n1", {"status": {"conditions": list(conditions)}}, subresource="status")


async def make_pod(house: Any, node: str = "n1", **spec: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    spec |= {"containers": [{"name": "a", "image": "i"}], "terminationGracePeriodSeconds": 0}
    if node:
        spec |= {"nodeName": node}
    await house.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})


async def taints(house: Any) -> set[tuple[str, str]]:
    node = await house.api.of(v1.Node).get("n1")
    return {(each.key.removeprefix("node.kubernetes.io/"), each.effect) for each in node.spec.taints}


async def test_a_silent_node_becomes_unknown_and_unreachable_and_its_pods_unready(house: Any) -> None:
    await make_node(house, condition("Ready", "True"))
    await make_pod(house)
    ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    await house.api.of(v1.Pod).patch("p", ready, "default", subresource="status")
    lifecycle, clock = NodeLifecycle(house.tools()), house.clock
    assert await house.settled(NODE, lifecycle, *KINDS) == 50
    await clock.advance(49)
    assert await house.settled(NODE, lifecycle, *KINDS) == 1
    assert await taints(house) == set()
    assert 'node_collector_evictions_total{zone=""} 0\n' in render(lifecycle.families())
    await clock.advance(1)
    await house.settled(NODE, lifecycle, *KINDS)
    assert 'node_collector_evictions_total{zone=""} 1\n' in render(lifecycle.families())
    node = await house.api.of(v1.Node).get("n1")
    assert {each.type: (each.status, each.reason) for each in node.status.conditions}["Ready"] == (
        "Unknown",
        "NodeStatusUnknown",
    )
    assert await taints(house) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    pod = await house.api.of(v1.Pod).get("p", "default")
    assert [each.status for each in pod.status.conditions if each.type == "Ready"] == ["False"]


async def test_a_renewed_lease_keeps_a_node_alive(house: Any) -> None:
    await make_node(house, condition("Ready", "True"))
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    lease |= {"metadata": {"name": "n1", "namespace": "kube-node-lease"}}
    await house.create(lease | {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}})
    lifecycle = NodeLifecycle(house.tools())
    await house.settled(NODE, lifecycle, *KINDS)
    await house.clock.advance(49)
    renewed = {"spec": {"renewTime": "2026-01-01T00:00:10.000000Z"}}
    await house.api.of(coordination.Lease).patch("n1", renewed, "kube-node-lease")
    assert await house.settled(NODE, lifecycle, *KINDS) == 50
    await house.clock.advance(49)
    assert await house.settled(NODE, lifecycle, *KINDS) == 1


async def test_conditions_and_cordons_are_taints_and_end_as_such(house: Any) -> None:
    await make_node(
        house, condition("Ready", "False"), condition("MemoryPressure", "True"), unschedulable=True,
        taints=[{"key": "example.com/own", "effect": "NoSchedule"}],
    )  # fmt: skip
    lifecycle = NodeLifecycle(house.tools())
    await house.settled(NODE, lifecycle, *KINDS)
    own = ("example.com/own", "NoSchedule")
    not_ready = {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}
    assert await taints(house) == {own, *not_ready, ("memory-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")}
    nodes = house.api.of(v1.Node)
    await nodes.patch("n1", {"spec": {"unschedulable": None}})
    status = [condition("Ready", "True"), condition("MemoryPressure", "False"), condition("PIDPressure", "True")]
    await nodes.patch("n1", {"status": {"conditions": status}}, subresource="status")
    await house.settled(NODE, lifecycle, *KINDS)
    assert await taints(house) == {own, ("pid-pressure", "NoSchedule")}


@pytest.mark.parametrize(("seconds", "left"), [(None, None), (30, 30.0)])
async def test_a_pod_leaves_a_tainted_node_when_its_toleration_ends(house: Any, seconds: Any, left: Any) -> None:
    tolerated = {"key": "example.com/t", "operator": "Exists", "effect": "NoExecute"}
    if seconds is not None:
        tolerated["tolerationSeconds"] = seconds
    clock: FakeClock = house.clock
    added = "2023-11-14T22:13:20Z"  # the clock's start
    await make_node(house, taints=[{"key": "example.com/t", "effect": "NoExecute", "timeAdded": added}])
    await make_pod(house, tolerations=[tolerated])
    eviction = TaintEviction(house.tools())
    assert await house.settled(POD, eviction, *KINDS[:2]) == left
    await clock.advance(29)
    assert await house.settled(POD, eviction, *KINDS[:2]) == (left and 1)
    await clock.advance(1)
    await house.settled(POD, eviction, *KINDS[:2])
    assert len((await house.api.of(v1.Pod).list("default")).items) == (1 if left is None else 0)


async def test_a_pod_that_does_not_tolerate_a_taint_leaves_at_once(house: Any) -> None:
    await make_node(house, taints=[{"key": "example.com/t", "effect": "NoExecute"}])
    await make_pod(house)
    assert await house.settled(POD, TaintEviction(house.tools()), *KINDS[:2]) is None
    assert not (await house.api.of(v1.Pod).list("default")).items


async def test_pods_of_a_lost_node_are_collected_after_a_quarantine(house: Any) -> None:
    await make_pod(house, node="lost")
    collector = PodGarbage(house.tools())
    assert await house.settled(POD, collector, *KINDS[:2]) == 40
    await house.clock.advance(39)
    assert await house.settled(POD, collector, *KINDS[:2]) == 1
    await house.clock.advance(1)
    assert await house.settled(POD, collector, *KINDS[:2]) is None
    assert not (await house.api.of(v1.Pod).list("default")).items


async def test_pods_that_wait_for_a_node_are_left_alone(house: Any) -> None:
    await make_pod(house, node="")
    assert await house.settled(POD, PodGarbage(house.tools()), *KINDS[:2]) is None
    assert len((await house.api.of(v1.Pod).list("default")).items) == 1
