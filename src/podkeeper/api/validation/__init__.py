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
    ("coordination.k8s.io", "Lease"): "policies:lease",
    ("node.k8s.io", "RuntimeClass"): "policies:runtime_class",
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): "admissionpolicies:mutating",
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): "admissionpolicies:mutating_binding",
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): "webhooks:webhooks",
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): "admissionpolicies:validating",
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): "admissionpolicies:validating_binding",
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): "webhooks:webhooks",
    ("apiregistration.k8s.io", "APIService"): "apiservices:api_service",
    ("autoscaling", "HorizontalPodAutoscaler"): "autoscaling:autoscaler",
    ("certificates.k8s.io", "CertificateSigningRequest"): "certificates:certificate_request",
    ("", "Event"): "events:core_event",
    ("events.k8s.io", "Event"): "events:new_event",
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): "flowcontrol:flow_schema",
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): "flowcontrol:priority_level",
    ("networking.k8s.io", "IPAddress"): "addressranges:ip_address",
    ("networking.k8s.io", "ServiceCIDR"): "addressranges:service_cidr",
    ("resource.k8s.io", "DeviceClass"): "devices:device_class",
    ("resource.k8s.io", "ResourceClaim"): "devices:claim",
    ("resource.k8s.io", "ResourceClaimTemplate"): "devices:claim_template",
    ("resource.k8s.io", "ResourceSlice"): "devices:resource_slice",
    ("storage.k8s.io", "CSIDriver"): "storage:csi_driver",
    ("storage.k8s.io", "CSINode"): "storage:csi_node",
    ("storage.k8s.io", "CSIStorageCapacity"): "storage:storage_capacity",
    ("storage.k8s.io", "StorageClass"): "storage:storage_class",
    ("storage.k8s.io", "VolumeAttachment"): "storage:volume_attachment",
    ("storage.k8s.io", "VolumeAttributesClass"): "storage:attributes_class",
}
#: Subresources that judge changes by rules of their own: (kind, subresource) -> "module:function".
_BY_SUBRESOURCE = {
    ("Pod", "ephemeralcontainers"): "pods:ephemeral_containers_update",
    ("Pod", "resize"): "pods:resize_update",
    ("APIService", "status"): "apiservices:api_service_status_update",
    ("CertificateSigningRequest", "approval"): "certificates:approval_update",
    ("CertificateSigningRequest", "status"): "certificates:status_update",
    ("CustomResourceDefinition", "status"): "extensions:custom_resource_definition_status",
    ("DaemonSet", "status"): "statuses:daemon_set",
    ("Deployment", "status"): "statuses:deployment",
    ("HorizontalPodAutoscaler", "status"): "statuses:autoscaler",
    ("Ingress", "status"): "networking:ingress_status_update",
    ("Job", "status"): "statuses:job",
    ("Pod", "status"): "statuses:pod",
    ("ReplicaSet", "status"): "statuses:replica_set",
    ("ReplicationController", "status"): "statuses:replica_set",
    ("ResourceClaim", "status"): "devices:claim_status_update",
    ("StatefulSet", "status"): "statuses:stateful_set",
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
    rules = rules_of(resource.group, resource.kind)
    if rules is not None:
        rules[0](found, obj)
    return found


def validate_update(resource: Resource, new: Any, old: Any, subresource: str = "") -> list[Cause]:
    """The mistakes of a changed object, judged beside the object as it was.

    A kind's own rules are asked when anything but metadata and status has changed: what was good before stays good.
    """
    found = Found()
    metadata.on_update(found, resource, new.metadata, old.metadata)
    judge = _subresource_rule(resource.kind, subresource)
    if judge is None and (not _same_specification(new, old) or _other_annotations(resource.kind, new, old)):
        rules = rules_of(resource.group, resource.kind)
        judge = rules[1] if rules is not None else None
    if judge is not None:
        judge(found, new, old)
    return found


def _same_specification(new: Any, old: Any) -> bool:
    return all(
        getattr(new, name) == getattr(old, name) for name in new.__struct_fields__ if name not in _NOT_SPECIFICATION
    )


def _other_annotations(kind: str, new: Any, old: Any) -> bool:
    """Whether annotations have changed of a kind whose rules read them."""
    return kind == "Pod" and new.metadata.annotations != old.metadata.annotations


@cache
def rules_of(group: str, kind: str) -> tuple[OnCreate, OnUpdate] | None:
    """A kind's own rules, for new objects and for changed ones; None for one that has none."""
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
