"""networking.k8s.io/v1: NetworkPolicy and IngressClass."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill, members

Tree = dict[str, Any]


def network_policy(tree: Tree) -> None:
    """NetworkPolicy: ingress always, egress when it has such rules; ports speak TCP."""
    spec = child(tree, "spec")
    for rule in members(spec, "ingress") + members(spec, "egress"):
        for port in members(rule, "ports"):
            fill(port, "protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def ingress_class(tree: Tree) -> None:
    """IngressClass: parameters are cluster-wide."""
    parameters = (tree.get("spec") or {}).get("parameters")
    if parameters is not None:
        fill(parameters, "scope", "Cluster")
