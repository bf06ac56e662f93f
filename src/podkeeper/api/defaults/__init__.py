"""Defaults: what the API server fills in where a writer left a field out.

``apply(resource, tree)`` works in place on a plain JSON tree, before admission and decoding. Null counts as absent. A
part of the tree that has another type than the kind's is left alone: decoding refuses it with the field's name.
Defaults that depend on other objects or on the request belong to admission and to the kind's strategy, not here.

Source: https://kubernetes.io/docs/reference/kubernetes-api/ (each kind's page names its fields' defaults).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.defaults import (
    admissionregistration,
    apiextensions,
    apps,
    authentication,
    autoscaling,
    batch,
    core,
    flowcontrol,
    networking,
    persistentvolumes,
    pods,
    rbac,
    resourceclaims,
    scheduling,
    services,
    storage,
)

Tree = dict[str, Any]
Default = Callable[[Tree], None]

_CORE: dict[str, Default] = {
    "Endpoints": services.endpoints,
    "LimitRange": core.limit_range,
    "Namespace": core.namespace,
    "Node": core.node,
    "PersistentVolume": persistentvolumes.persistent_volume,
    "PersistentVolumeClaim": persistentvolumes.persistent_volume_claim,
    "Pod": pods.pod,
    "PodTemplate": pods.pod_template_object,
    "ReplicationController": core.replication_controller,
    "ResourceQuota": core.resource_quota,
    "Secret": core.secret,
    "Service": services.service,
}
_APPS: dict[str, Default] = {
    "DaemonSet": apps.daemon_set,
    "Deployment": apps.deployment,
    "ReplicaSet": apps.replica_set,
    "StatefulSet": apps.stateful_set,
}
_BATCH: dict[str, Default] = {"CronJob": batch.cron_job, "Job": batch.job}
_NETWORKING: dict[str, Default] = {
    "IngressClass": networking.ingress_class,
    "NetworkPolicy": networking.network_policy,
}
_STORAGE: dict[str, Default] = {"CSIDriver": storage.csi_driver, "StorageClass": storage.storage_class}
_RBAC: dict[str, Default] = {"ClusterRoleBinding": rbac.binding, "RoleBinding": rbac.binding}
_ADMISSION: dict[str, Default] = {
    "MutatingAdmissionPolicy": admissionregistration.policy,
    "MutatingAdmissionPolicyBinding": admissionregistration.policy_binding,
    "MutatingWebhookConfiguration": admissionregistration.mutating_webhooks,
    "ValidatingAdmissionPolicy": admissionregistration.policy,
    "ValidatingAdmissionPolicyBinding": admissionregistration.policy_binding,
    "ValidatingWebhookConfiguration": admissionregistration.validating_webhooks,
}
_FLOWCONTROL: dict[str, Default] = {
    "FlowSchema": flowcontrol.flow_schema,
    "PriorityLevelConfiguration": flowcontrol.priority_level,
}
_RESOURCE: dict[str, Default] = {
    "ResourceClaim": resourceclaims.claim,
    "ResourceClaimTemplate": resourceclaims.claim_template,
}

_TABLE: dict[tuple[str, str], dict[str, Default]] = {
    ("", "v1"): _CORE,
    ("admissionregistration.k8s.io", "v1"): _ADMISSION,
    ("admissionregistration.k8s.io", "v1beta1"): _ADMISSION,
    ("admissionregistration.k8s.io", "v1alpha1"): _ADMISSION,
    ("apiextensions.k8s.io", "v1"): {"CustomResourceDefinition": apiextensions.custom_resource_definition},
    ("apiregistration.k8s.io", "v1"): {"APIService": apiextensions.api_service},
    ("apps", "v1"): _APPS,
    ("authentication.k8s.io", "v1"): {"TokenRequest": authentication.token_request},
    ("autoscaling", "v1"): {"HorizontalPodAutoscaler": autoscaling.horizontal_v1},
    ("autoscaling", "v2"): {"HorizontalPodAutoscaler": autoscaling.horizontal_v2},
    ("batch", "v1"): _BATCH,
    ("discovery.k8s.io", "v1"): {"EndpointSlice": services.endpoint_slice},
    ("flowcontrol.apiserver.k8s.io", "v1"): _FLOWCONTROL,
    ("networking.k8s.io", "v1"): _NETWORKING,
    ("node.k8s.io", "v1"): {"RuntimeClass": scheduling.runtime_class},
    ("rbac.authorization.k8s.io", "v1"): _RBAC,
    ("resource.k8s.io", "v1"): _RESOURCE,
    ("resource.k8s.io", "v1beta1"): _RESOURCE,
    ("resource.k8s.io", "v1beta2"): _RESOURCE,
    ("scheduling.k8s.io", "v1"): {"PriorityClass": scheduling.priority_class},
    ("storage.k8s.io", "v1"): _STORAGE,
}


def apply(resource: Resource, tree: Tree) -> None:
    """Fills in the defaults of an object of that resource, in place."""
    apply_kind(resource.group, resource.version, resource.kind, tree)


def apply_kind(group: str, version: str, kind: str, tree: Tree) -> None:
    """The same by kind, also for kinds that only subresources speak (TokenRequest). Kinds without defaults pass."""
    default = default_of(group, version, kind)
    if default is None:
        return
    try:
        default(tree)
    except (AttributeError, TypeError, KeyError, ValueError):
        # Only a part of another type than the schema's leads here; decoding comes next and names the field.
        return


def default_of(group: str, version: str, kind: str) -> Default | None:
    """What fills in the defaults of a kind; None for one that has none."""
    return _TABLE.get((group, version), {}).get(kind)
