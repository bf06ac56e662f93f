"""resource.k8s.io: ResourceClaim and its template."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill_empty, members

Tree = dict[str, Any]


def claim(tree: Tree) -> None:
    """ResourceClaim: each request is for one device."""
    _claim_spec(child(tree, "spec"))


def claim_template(tree: Tree) -> None:
    """ResourceClaimTemplate: what its claims get."""
    _claim_spec(child(child(tree, "spec"), "spec"))


def _claim_spec(spec: Tree) -> None:
    for request in members(spec.get("devices"), "requests"):
        for part in (request.get("exactly"), *members(request, "firstAvailable")):
            if part is not None:
                _request(part)
        if "deviceClassName" in request:  # the flat form of v1beta1
            _request(request)


def _request(request: Tree) -> None:
    fill_empty(request, "allocationMode", "ExactCount")
    if request["allocationMode"] == "ExactCount":
        fill_empty(request, "count", 1)
    for toleration in members(request, "tolerations"):
        fill_empty(toleration, "operator", "Equal")
