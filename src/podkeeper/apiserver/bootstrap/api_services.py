"""The APIServices that stand for what this server serves itself: one per group and version.

Priorities are upstream's. Their own group, apiregistration.k8s.io, has none and comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podkeeper.api.catalogue import Resource

Tree = dict[str, Any]

MANAGED, AT_START = "kube-aggregator.kubernetes.io/automanaged", "onstart"
OWN_GROUP = "apiregistration.k8s.io"

_GROUPS: Mapping[str, int] = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "internal.apiserver.k8s.io": 16000,
    "resource.k8s.io": 16200,
    "storagemigration.k8s.io": 15800,
}
#: Versions whose priority is not that of their kind: 15 for stable ones, 9 for the others.
_VERSIONS: Mapping[tuple[str, str], int] = {
    ("", "v1"): 1,
    ("admissionregistration.k8s.io", "v1beta1"): 12,
    ("autoscaling", "v2"): 30,
    ("certificates.k8s.io", "v1alpha1"): 1,
    ("coordination.k8s.io", "v1alpha2"): 12,
    ("coordination.k8s.io", "v1beta1"): 13,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 20,
    ("resource.k8s.io", "v1beta2"): 15,
}
#: Of the own group, and of every custom resource.
_FIRST, _CUSTOM = (20000, 1), (1000, 100)


def priorities_of(group: str, version: str) -> tuple[int, int]:
    """Of a group and of its version that this server answers."""
    if group not in _GROUPS:
        return _FIRST if group == OWN_GROUP else _CUSTOM
    usual = 15 if "alpha" not in version and "beta" not in version else 9
    return _GROUPS[group], _VERSIONS.get((group, version), usual)


def wanted(served: Iterable[Resource]) -> list[Tree]:
    """The objects for all groups and versions of these resources."""
    versions = dict.fromkeys((row.group, row.version) for row in served if row.group != OWN_GROUP and row.type_name)
    return [_local(group, version) for group, version in versions]


def is_outlived(present: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether an object was made at an earlier start, for a version that is not served any more."""
    metadata = present["metadata"]
    return (metadata.get("labels") or {}).get(MANAGED) == AT_START and metadata["name"] not in names


def _local(group: str, version: str) -> Tree:
    of_group, of_version = priorities_of(group, version)
    spec = {"version": version, "groupPriorityMinimum": of_group, "versionPriority": of_version}
    return {
        "apiVersion": f"{OWN_GROUP}/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {MANAGED: AT_START}},
        "spec": ({"group": group} if group else {}) | spec,
    }
