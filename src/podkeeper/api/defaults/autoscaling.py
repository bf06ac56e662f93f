"""HorizontalPodAutoscaler in both versions."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill, fill_empty

Tree = dict[str, Any]

_PERIOD = 15
_CPU_UTILIZATION = 80


def horizontal_v1(tree: Tree) -> None:
    """autoscaling/v1: one replica at least."""
    fill(child(tree, "spec"), "minReplicas", 1)


def horizontal_v2(tree: Tree) -> None:
    """autoscaling/v2: one replica at least, 80 % of CPU, and full rules once a behavior is given."""
    spec = child(tree, "spec")
    fill(spec, "minReplicas", 1)
    target = {"type": "Utilization", "averageUtilization": _CPU_UTILIZATION}
    fill_empty(spec, "metrics", [{"type": "Resource", "resource": {"name": "cpu", "target": target}}])
    behavior = spec.get("behavior")
    if behavior is not None:
        percent = {"type": "Percent", "value": 100, "periodSeconds": _PERIOD}
        up = child(behavior, "scaleUp")
        fill(up, "stabilizationWindowSeconds", 0)
        fill(up, "selectPolicy", "Max")
        fill(up, "policies", [{"type": "Pods", "value": 4, "periodSeconds": _PERIOD}, dict(percent)])
        down = child(behavior, "scaleDown")
        fill(down, "selectPolicy", "Max")
        fill(down, "policies", [percent])
