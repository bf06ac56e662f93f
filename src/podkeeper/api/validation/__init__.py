"""Validation: what the API server refuses with 422 Invalid, in upstream's words.

``validate_create(resource, tree, obj)`` judges a new object, ``validate_update(resource, new, old)`` a changed one;
both return the mistakes in the order of the object's fields. Defaults are applied before. The metadata of all kinds,
custom ones included, is judged here; a kind's own rules stand in the module of its family, loaded when they are first
needed.

Source: https://kubernetes.io/docs/reference/kubernetes-api/ (each kind's page names its fields' rules).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Protocol

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import Cause
from podkeeper.api.validation import metadata
from podkeeper.api.validation.fields import Found

#: (group, kind) -> "module:noun" whose ``noun`` judges a new object and ``noun_update`` a changed one.
_RULES: dict[tuple[str, str], str] = {
    ("", "Pod"): "pods:pod",
    ("", "PodTemplate"): "workloads:pod_template",
    ("", "ReplicationController"): "workloads:replication_controller",
    ("apps", "ControllerRevision"): "workloads:controller_revision",
    ("apps", "DaemonSet"): "workloads:daemon_set",
    ("apps", "Deployment"): "workloads:deployment",
    ("apps", "ReplicaSet"): "workloads:replica_set",
    ("apps", "StatefulSet"): "workloads:stateful_set",
    ("batch", "CronJob"): "jobs:cron_job",
    ("batch", "Job"): "jobs:job",
    ("", "PersistentVolumeClaim"): "persistentvolumeclaims:persistent_volume_claim",
    ("", "LimitRange"): "clusterkinds:limit_range",
    ("", "Namespace"): "clusterkinds:namespace",
    ("", "Node"): "clusterkinds:node",
    ("", "PersistentVolume"): "clusterkinds:persistent_volume",
    ("", "ResourceQuota"): "clusterkinds:resource_quota",
    ("networking.k8s.io", "Ingress"): "networking:ingress",
    ("networking.k8s.io", "IngressClass"): "networking:ingress_class",
    ("networking.k8s.io", "NetworkPolicy"): "networking:network_policy",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "extensions:custom_resource_definition",
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): "extensions:webhooks",
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): "extensions:webhooks",
    ("certificates.k8s.io", "CertificateSigningRequest"): "extensions:certificate_request",
    ("", "ConfigMap"): "configuration:config_map",
    ("", "Secret"): "configuration:secret",
    ("", "Service"): "services:service",
    ("", "Endpoints"): "services:endpoints",
    ("discovery.k8s.io", "EndpointSlice"): "services:endpoint_slice",
    ("rbac.authorization.k8s.io", "Role"): "rbac:role",
    ("rbac.authorization.k8s.io", "ClusterRole"): "rbac:cluster_role",
    ("rbac.authorization.k8s.io", "RoleBinding"): "rbac:role_binding",
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): "rbac:cluster_role_binding",
    ("policy", "PodDisruptionBudget"): "policies:pod_disruption_budget",
    ("scheduling.k8s.io", "PriorityClass"): "policies:priority_class",
    ("storage.k8s.io", "StorageClass"): "policies:storage_class",
    ("coordination.k8s.io", "Lease"): "policies:lease",
    ("node.k8s.io", "RuntimeClass"): "policies:runtime_class",
    ("autoscaling", "HorizontalPodAutoscaler"): "policies:autoscaler",
}
#: Subresources that judge changes by rules of their own: (kind, subresource) -> "module:function".
_BY_SUBRESOURCE = {
    ("Pod", "ephemeralcontainers"): "pods:ephemeral_containers_update",
    ("Pod", "resize"): "pods:resize_update",
}
_NOT_SPECIFICATION = ("api_version", "kind", "metadata", "status")


class OnCreate(Protocol):
    """Appends the mistakes of a new object."""

    def __call__(self, found: Found, obj: Any) -> None: ...


class OnUpdate(Protocol):
    """Appends the mistakes of a change."""

    def __call__(self, found: Found, new: Any, old: Any) -> None: ...


def validate_create(resource: Resource, tree: dict[str, Any], obj: Any) -> list[Cause]:
    """The mistakes of a new object, none when it is good. ``tree`` is the same object as plain JSON."""
    found = Found()
    metadata.on_create(found, resource, obj.metadata)
    rules = _rules(resource.group, resource.kind)
    if rules is not None:
        rules[0](found, obj)
    return found


def validate_update(resource: Resource, new: Any, old: Any, subresource: str = "") -> list[Cause]:
    """The mistakes of a changed object, judged beside the object as it was.

    A kind's own rules are asked when anything but metadata and status has changed: what was good before stays good.
    """
    found = Found()
    metadata.on_update(found, resource, new.metadata, old.metadata)
    if _same_specification(new, old):
        return found
    rules = _rules(resource.group, resource.kind)
    if rules is not None:
        own = _subresource_rule(resource.kind, subresource) or rules[1]
        own(found, new, old)
    return found


def _same_specification(new: Any, old: Any) -> bool:
    return all(
        getattr(new, name) == getattr(old, name) for name in new.__struct_fields__ if name not in _NOT_SPECIFICATION
    )


@cache
def _rules(group: str, kind: str) -> tuple[OnCreate, OnUpdate] | None:
    place = _RULES.get((group, kind))
    if place is None:
        return None
    return _load(place), _load(f"{place}_update")


@cache
def _subresource_rule(kind: str, subresource: str) -> OnUpdate | None:
    place = _BY_SUBRESOURCE.get((kind, subresource))
    return _load(place) if place is not None else None


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), name)
