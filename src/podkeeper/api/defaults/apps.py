"""apps/v1: Deployment, ReplicaSet, StatefulSet, DaemonSet."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults import persistentvolumes, pods
from podkeeper.api.defaults.trees import child, fill, fill_empty, members

Tree = dict[str, Any]

_HISTORY = 10


def deployment(tree: Tree) -> None:
    """Deployment: rolling update by quarters, ten old revisions, ten minutes to progress."""
    spec = _spec_with_template(tree)
    fill(spec, "replicas", 1)
    strategy = child(spec, "strategy")
    fill_empty(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = child(strategy, "rollingUpdate")
        fill(rolling, "maxUnavailable", "25%")
        fill(rolling, "maxSurge", "25%")
    fill(spec, "revisionHistoryLimit", _HISTORY)
    fill(spec, "progressDeadlineSeconds", 600)


def replica_set(tree: Tree) -> None:
    """ReplicaSet: one replica."""
    fill(_spec_with_template(tree), "replicas", 1)


def daemon_set(tree: Tree) -> None:
    """DaemonSet: rolling update, one node at a time."""
    spec = _spec_with_template(tree)
    strategy = child(spec, "updateStrategy")
    fill_empty(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = child(strategy, "rollingUpdate")
        fill(rolling, "maxUnavailable", 1)
        fill(rolling, "maxSurge", 0)
    fill(spec, "revisionHistoryLimit", _HISTORY)


def stateful_set(tree: Tree) -> None:
    """StatefulSet: one replica, in order, claims kept."""
    spec = _spec_with_template(tree)
    fill_empty(spec, "podManagementPolicy", "OrderedReady")
    strategy = child(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        child(strategy, "rollingUpdate")
    if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        fill(strategy["rollingUpdate"], "partition", 0)
        fill(strategy["rollingUpdate"], "maxUnavailable", 1)
    retention = child(spec, "persistentVolumeClaimRetentionPolicy")
    fill_empty(retention, "whenDeleted", "Retain")
    fill_empty(retention, "whenScaled", "Retain")
    fill(spec, "replicas", 1)
    fill(spec, "revisionHistoryLimit", _HISTORY)
    for claim in members(spec, "volumeClaimTemplates"):
        fill_empty(claim, "apiVersion", "v1")
        fill_empty(claim, "kind", "PersistentVolumeClaim")
        persistentvolumes.persistent_volume_claim(claim)


def _spec_with_template(tree: Tree) -> Tree:
    spec = child(tree, "spec")
    pods.pod_template(child(spec, "template"))
    return spec
