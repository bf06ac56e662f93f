"""The smaller kinds of the core group: Namespace, Node, Secret, LimitRange, ResourceQuota, ReplicationController."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults import pods
from podkeeper.api.defaults.trees import child, fill, fill_empty, members, round_amounts

Tree = dict[str, Any]


def secret(tree: Tree) -> None:
    """Secret: the type Opaque."""
    fill_empty(tree, "type", "Opaque")


def namespace(tree: Tree) -> None:
    """Namespace: the label that carries its name."""
    metadata = child(tree, "metadata")
    if metadata.get("name"):
        child(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]


def node(tree: Tree) -> None:
    """Node: what is allocatable from the capacity."""
    status = tree.get("status") or {}
    round_amounts(status.get("capacity"))
    round_amounts(status.get("allocatable"))
    if status.get("capacity") is not None and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])


def limit_range(tree: Tree) -> None:
    """LimitRange: a container's default limit from the maximum, its default request from that or the minimum."""
    for item in members(tree.get("spec"), "limits"):
        for key in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            round_amounts(item.get(key))
        if item.get("type") == "Container":
            limits = {**(item.get("max") or {}), **(item.get("default") or {})}
            requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
            if limits:
                item["default"] = limits
            if requests:
                item["defaultRequest"] = requests


def resource_quota(tree: Tree) -> None:
    """ResourceQuota: amounts in thousandths."""
    round_amounts((tree.get("spec") or {}).get("hard"))


def replication_controller(tree: Tree) -> None:
    """ReplicationController: one replica; selector and labels from the template's labels."""
    spec = child(tree, "spec")
    fill(spec, "replicas", 1)
    template = spec.get("template")
    if template is None:
        return
    pods.pod_template(template)
    labels = (template.get("metadata") or {}).get("labels")
    if labels:
        fill_empty(spec, "selector", dict(labels))
        fill_empty(child(tree, "metadata"), "labels", dict(labels))
