"""Service, Endpoints and EndpointSlice."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill, fill_empty, members

Tree = dict[str, Any]

_AFFINITY_SECONDS = 10800
_PROXIED = ("ClusterIP", "NodePort", "LoadBalancer")


def service(tree: Tree) -> None:
    """Service. Cluster IPs, node ports and IP families are allocated by the registry, not here."""
    spec = child(tree, "spec")
    _session_affinity(spec)
    fill_empty(spec, "type", "ClusterIP")
    for port in members(spec, "ports"):
        fill_empty(port, "protocol", "TCP")
        fill_empty(port, "targetPort", port.get("port", 0))
    _traffic_policies(spec)
    if spec["type"] == "LoadBalancer":
        fill(spec, "allocateLoadBalancerNodePorts", True)
        for ingress in members((tree.get("status") or {}).get("loadBalancer"), "ingress"):
            if ingress.get("ip"):
                fill(ingress, "ipMode", "VIP")


def _session_affinity(spec: Tree) -> None:
    fill_empty(spec, "sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}}


def _traffic_policies(spec: Tree) -> None:
    external = spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
    if external:
        fill_empty(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] in _PROXIED:
        fill(spec, "internalTrafficPolicy", "Cluster")


def endpoints(tree: Tree) -> None:
    """Endpoints: ports speak TCP."""
    for subset in members(tree, "subsets"):
        for port in members(subset, "ports"):
            fill_empty(port, "protocol", "TCP")


def endpoint_slice(tree: Tree) -> None:
    """EndpointSlice: ports speak TCP and have the empty name."""
    for port in members(tree, "ports"):
        fill(port, "name", "")
        fill(port, "protocol", "TCP")
