"""HorizontalPodAutoscaler: autoscaling/v2 (stored) and v1.

v1 knows only the CPU target; every other metric, the behavior and the conditions travel in annotations, as JSON of v1's
own shape, so that an object survives being read and written in either version. Source:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/
"""

from __future__ import annotations

from typing import Any

import msgspec

Tree = dict[str, Any]

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
_ANNOTATIONS = (METRICS, BEHAVIOR, CONDITIONS, CURRENT_METRICS)

_SOURCES = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


def to_v2(tree: Tree) -> Tree:
    """A v1 object as v2."""
    metadata, annotations = _metadata(tree)
    spec, status = dict(tree.get("spec") or {}), dict(tree.get("status") or {})
    target = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [_metric_to_v2(each) for each in _read(annotations, METRICS) or []]
    if target is not None:
        metrics.insert(0, _cpu({"target": {"type": "Utilization", "averageUtilization": target}}))
    if metrics:
        spec["metrics"] = metrics
    if (behavior := _read(annotations, BEHAVIOR)) is not None:
        spec["behavior"] = behavior
    current = status.pop("currentCPUUtilizationPercentage", None)
    current_metrics = [_current_to_v2(each) for each in _read(annotations, CURRENT_METRICS) or []]
    if current is not None:
        current_metrics.insert(0, _cpu({"current": {"averageUtilization": current}}))
    if current_metrics:
        status["currentMetrics"] = current_metrics
    if (conditions := _read(annotations, CONDITIONS)) is not None:
        status["conditions"] = conditions
    _set_annotations(metadata, {key: value for key, value in annotations.items() if key not in _ANNOTATIONS})
    return tree | {"apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def from_v2(tree: Tree) -> Tree:
    """A v2 object as v1."""
    metadata, annotations = _metadata(tree)
    spec, status = dict(tree.get("spec") or {}), dict(tree.get("status") or {})
    others = []
    for metric in spec.pop("metrics", None) or []:
        utilization = _cpu_utilization(metric, "target")
        if utilization is not None and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = utilization
        else:
            others.append(_metric_to_v1(metric))
    currents = []
    for metric in status.pop("currentMetrics", None) or []:
        utilization = _cpu_utilization(metric, "current")
        if utilization is not None and "currentCPUUtilizationPercentage" not in status:
            status["currentCPUUtilizationPercentage"] = utilization
        else:
            currents.append(_current_to_v1(metric))
    status.setdefault("currentReplicas", 0)  # Go prints it in v1 alone
    behavior, conditions = spec.pop("behavior", None), status.pop("conditions", None)
    for key, value in zip(_ANNOTATIONS, (others, behavior, conditions, currents), strict=True):
        if value:
            annotations[key] = msgspec.json.encode(value).decode()
    _set_annotations(metadata, annotations)
    return tree | {"apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _metadata(tree: Tree) -> tuple[Tree, dict[str, str]]:
    metadata = dict(tree.get("metadata") or {})
    return metadata, dict(metadata.get("annotations") or {})


def _set_annotations(metadata: Tree, annotations: dict[str, str]) -> None:
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations


def _read(annotations: dict[str, str], key: str) -> Any:
    text = annotations.get(key)
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None  # somebody's own text under our key: upstream drops it too


def _cpu(values: Tree) -> Tree:
    return {"type": "Resource", "resource": {"name": "cpu", **values}}


def _cpu_utilization(metric: Tree, member: str) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    utilization: int | None = (resource.get(member) or {}).get("averageUtilization")
    return utilization


def _metric_to_v1(metric: Tree) -> Tree:
    member = _SOURCES.get(metric.get("type", ""), "")
    source = dict(metric.get(member) or {})
    target = source.pop("target", None) or {}
    return {
        "type": metric.get("type", ""),
        member: _flat_identity(member, source) | _flat_values(member, target, "target"),
    }


def _current_to_v1(metric: Tree) -> Tree:
    member = _SOURCES.get(metric.get("type", ""), "")
    source = dict(metric.get(member) or {})
    current = source.pop("current", None) or {}
    return {
        "type": metric.get("type", ""),
        member: _flat_identity(member, source) | _flat_values(member, current, "current"),
    }


def _metric_to_v2(metric: Tree) -> Tree:
    member = _SOURCES.get(metric.get("type", ""), "")
    source = dict(metric.get(member) or {})
    values = _take_values(member, source, "target")
    kind = next((kind for kind, key in _TYPES.items() if key in values), "Value")
    return {
        "type": metric.get("type", ""),
        member: _nested_identity(member, source) | {"target": {"type": kind, **values}},
    }


def _current_to_v2(metric: Tree) -> Tree:
    member = _SOURCES.get(metric.get("type", ""), "")
    source = dict(metric.get(member) or {})
    values = _take_values(member, source, "current")
    return {"type": metric.get("type", ""), member: _nested_identity(member, source) | {"current": values}}


_TYPES = {"Utilization": "averageUtilization", "AverageValue": "averageValue", "Value": "value"}


def _value_names(member: str, role: str) -> dict[str, str]:
    """v2's member of a target or current value -> v1's field beside the identity."""
    if member in ("resource", "containerResource"):
        return {"averageUtilization": f"{role}AverageUtilization", "averageValue": f"{role}AverageValue"}
    if member == "pods":
        return {"averageValue": f"{role}AverageValue"}
    if member == "object":
        return {"value": f"{role}Value", "averageValue": "averageValue"}
    return {"value": f"{role}Value", "averageValue": f"{role}AverageValue"}


#: Quantities that v1 always prints.
_ALWAYS = {"resource": "averageValue", "containerResource": "averageValue", "pods": "averageValue"}


def _flat_values(member: str, values: Tree, role: str) -> Tree:
    names = _value_names(member, role)
    flat = {names[key]: value for key, value in values.items() if key in names}
    if role == "current" and member in _ALWAYS:
        flat.setdefault(names[_ALWAYS[member]], "0")
    return flat


def _take_values(member: str, source: Tree, role: str) -> Tree:
    names = _value_names(member, role)
    return {key: source.pop(name) for key, name in names.items() if name in source}


def _flat_identity(member: str, source: Tree) -> Tree:
    if member in ("resource", "containerResource"):
        return source
    metric, rest = (
        source.get("metric") or {},
        {k: v for k, v in source.items() if k not in ("metric", "describedObject")},
    )
    selector = metric.get("selector")
    names = ("metricName", "metricSelector") if member == "external" else ("metricName", "selector")
    flat = rest | {names[0]: metric.get("name", "")} | ({names[1]: selector} if selector is not None else {})
    if member == "object":
        flat["target"] = source.get("describedObject") or {}
    return flat


def _nested_identity(member: str, source: Tree) -> Tree:
    if member in ("resource", "containerResource"):
        return source
    metric: Tree = {"name": source.get("metricName", "")}
    selector = source.get("metricSelector") if member == "external" else source.get("selector")
    if selector is not None:
        metric["selector"] = selector
    nested: Tree = {"metric": metric}
    if member == "object":
        nested["describedObject"] = source.get("target") or {}
    return nested
