"""Conversions between served versions lose nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.resources import RESOURCES, lookup
from podkeeper.registry.conversion import UnsupportedVersion, conversion_for, event, horizontalpodautoscaler

Tree = dict[str, Any]

SELECTORS = st.none() | st.just({"matchLabels": {"a": "b"}})


@st.composite
def metrics(draw: st.DrawFn, role: str) -> Tree:
    kind = draw(st.sampled_from(["Resource", "ContainerResource", "Pods", "Object", "External"]))
    utilization, average, value = (
        {"averageUtilization": draw(st.integers(1, 99))},
        {"averageValue": "5"},
        {"value": "7"},
    )
    choices = {
        "Resource": [("Utilization", utilization), ("AverageValue", average)],
        "ContainerResource": [("Utilization", utilization), ("AverageValue", average)],
        "Pods": [("AverageValue", average)],
        "Object": [("Value", value), ("AverageValue", average)],
        "External": [("Value", value), ("AverageValue", average)],
    }
    target, values = draw(st.sampled_from(choices[kind]))
    member = kind[0].lower() + kind[1:]
    body: Tree = {"target": {"type": target, **values}} if role == "target" else {"current": dict(values)}
    if role == "current" and "averageUtilization" in values:
        body["current"]["averageValue"] = "1"
    if kind in ("Resource", "ContainerResource"):
        body["name"] = draw(st.sampled_from(["cpu", "memory"]))
        if kind == "ContainerResource":
            body["container"] = "c"
    else:
        metric: Tree = {"name": "m"}
        if (selector := draw(SELECTORS)) is not None:
            metric["selector"] = selector
        body["metric"] = metric
    if kind == "Object":
        body["describedObject"] = {"kind": "Service", "name": "s"}
    return {"type": kind, member: body}


def is_cpu(metric: Tree) -> bool:
    resource = metric.get("resource") or {}
    return resource.get("name") == "cpu" and "averageUtilization" in (resource.get("target") or {})


@given(st.lists(metrics("target"), max_size=4), st.booleans())
def test_an_autoscaler_survives_v1(listed: list[Tree], with_behavior: bool) -> None:
    # v1's one CPU target comes back as the first metric.
    listed = sorted(listed, key=lambda each: not is_cpu(each))
    cpu = [each for each in listed if is_cpu(each)]
    others = [each for each in listed if not is_cpu(each)]
    spec: Tree = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}
    if cpu or others:
        spec["metrics"] = [*cpu[:1], *others]
    if with_behavior:
        spec["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": 5}}
    status = {"conditions": [{"type": "AbleToScale", "status": "True"}], "currentReplicas": 1}
    new = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "annotations": {"mine": "yes"}},
        "spec": spec,
        "status": status,
    }
    before = copy.deepcopy(new)
    old = horizontalpodautoscaler.from_v2(new)
    assert new == before
    assert "metrics" not in old["spec"]
    assert ("targetCPUUtilizationPercentage" in old["spec"]) == bool(cpu)
    assert horizontalpodautoscaler.to_v2(old) == new


@given(st.lists(metrics("current"), max_size=3))
def test_current_metrics_survive_v1(listed: list[Tree]) -> None:
    new = {"metadata": {}, "spec": {}, "status": {"currentMetrics": listed} if listed else {}}
    old = horizontalpodautoscaler.from_v2(new)
    back = horizontalpodautoscaler.to_v2(old)["status"].get("currentMetrics", [])

    def plain(each: Tree) -> str:
        # A CPU utilization of v1 has no place for the average value beside it.
        resource = each.get("resource") or {}
        if resource.get("name") == "cpu" and "averageUtilization" in resource.get("current", {}):
            return str(("cpu", resource["current"]["averageUtilization"]))
        (member,) = [key for key in each if key != "type"]
        current = {key: value for key, value in each[member]["current"].items() if value != "0"}
        return str((member, sorted(current.items()), sorted(each[member])))

    assert sorted(map(plain, back)) == sorted(map(plain, listed))


def test_annotations_that_are_not_ours_to_read_are_dropped() -> None:
    annotations = {"autoscaling.alpha.kubernetes.io/metrics": "{not json"}
    new = horizontalpodautoscaler.to_v2({"metadata": {"annotations": annotations}, "spec": {}})
    assert "annotations" not in new["metadata"]
    assert "metrics" not in new["spec"]


def test_an_event_survives_either_way() -> None:
    core = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "reason": "Started",
        "message": "Started container c",
        "source": {"component": "kubelet", "host": "n"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:01Z",
        "count": 2,
        "type": "Normal",
        "reportingComponent": "kubelet",
        "reportingInstance": "n",
    }
    new = event.from_core(core)
    assert (new["apiVersion"], new["note"], new["regarding"]["name"]) == ("events.k8s.io/v1", core["message"], "p")
    assert (new["deprecatedCount"], new["reportingController"]) == (2, "kubelet")
    assert event.to_core(new) == core


def test_every_enabled_resource_can_be_converted() -> None:
    for row in RESOURCES:
        if row.enabled:
            conversion_for(row)


def test_what_cannot_be_converted_is_refused_by_name() -> None:
    row = lookup("resource.k8s.io", "v1beta1", "resourceslices")
    assert row is not None
    with pytest.raises(UnsupportedVersion, match=r"resource\.k8s\.io/v1beta1 resourceslices cannot be served"):
        conversion_for(row)
