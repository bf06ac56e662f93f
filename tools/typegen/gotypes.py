"""What the schema does not tell and Go's types decide: which struct fields are values and which strings are pointers.

Go prints a struct held by value even when it is empty (``status: {}``, ``resources: {}``) and leaves out a nil pointer;
a pointer to a string tells ``""`` from absent. Source: the field types in k8s.io/api and k8s.io/apimachinery, 1.36.
Rule: ``metadata``, the ``spec`` and ``status`` of a kind and required structs are values; other structs are pointers.
The tables below name the exceptions as ``package.Type.field``.
"""

from __future__ import annotations

from typegen.facts import Field, Type

STRUCT_VALUES = frozenset(
    [
        "apps/v1.DaemonSetSpec.updateStrategy",
        "apps/v1.DeploymentSpec.strategy",
        "apps/v1.ReplicaSetSpec.template",
        "apps/v1.StatefulSetSpec.updateStrategy",
        "authentication/v1.SelfSubjectReviewStatus.userInfo",
        "authentication/v1.TokenReviewStatus.user",
        "batch/v1.JobTemplateSpec.spec",
        "core/v1.Container.resources",
        "core/v1.ContainerStatus.lastState",
        "core/v1.ContainerStatus.state",
        "core/v1.EphemeralContainer.resources",
        "core/v1.Event.source",
        "core/v1.NodeDaemonEndpoints.kubeletEndpoint",
        "core/v1.NodeStatus.daemonEndpoints",
        "core/v1.NodeStatus.nodeInfo",
        "core/v1.PersistentVolumeClaimSpec.resources",
        "core/v1.PodTemplate.template",
        "core/v1.PodTemplateSpec.spec",
        "core/v1.ServiceStatus.loadBalancer",
        "discovery/v1.Endpoint.conditions",
        "events/v1.Event.deprecatedSource",
        "events/v1.Event.regarding",
        "flowcontrol/v1.LimitedPriorityLevelConfiguration.limitResponse",
        "networking/v1.IngressServiceBackend.port",
        "networking/v1.IngressStatus.loadBalancer",
        "networking/v1.NetworkPolicySpec.podSelector",
        "resource/v1.AllocationResult.devices",
        "resource/v1.ResourceClaimSpec.devices",
        "resource/v1beta1.AllocationResult.devices",
        "resource/v1beta1.ResourceClaimSpec.devices",
        "resource/v1beta2.AllocationResult.devices",
        "resource/v1beta2.ResourceClaimSpec.devices",
        "apiextensions/v1.CustomResourceDefinitionStatus.acceptedNames",
        "meta/v1.APIGroup.preferredVersion",
    ]
)
STRUCT_POINTERS = frozenset(
    [
        "apps/v1.DaemonSetSpec.selector",
        "apps/v1.DeploymentSpec.selector",
        "apps/v1.ReplicaSetSpec.selector",
        "apps/v1.StatefulSetSpec.selector",
        "core/v1.NodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
        "core/v1.ScaleIOPersistentVolumeSource.secretRef",
        "core/v1.ScaleIOVolumeSource.secretRef",
        "networking/v1.IPAddressSpec.parentRef",
        "networking/v1beta1.IPAddressSpec.parentRef",
        "resource/v1alpha3.ResourcePoolStatusRequest.status",
    ]
)
STRING_POINTERS = frozenset(
    [
        "admissionregistration/v1.ServiceReference.path",
        "admissionregistration/v1.WebhookClientConfig.url",
        "apiextensions/v1.JSONSchemaProps.$ref",
        "apiextensions/v1.JSONSchemaProps.x-kubernetes-list-type",
        "apiextensions/v1.JSONSchemaProps.x-kubernetes-map-type",
        "apiextensions/v1.ServiceReference.path",
        "apiextensions/v1.WebhookClientConfig.url",
        "coordination/v1.LeaseSpec.holderIdentity",
        "coordination/v1.LeaseSpec.preferredHolder",
        "coordination/v1.LeaseSpec.strategy",
        "core/v1.GRPCAction.service",
        "core/v1.HostPathVolumeSource.type",
        "core/v1.PersistentVolumeClaimSpec.storageClassName",
        "core/v1.PersistentVolumeClaimSpec.volumeAttributesClassName",
        "core/v1.PersistentVolumeClaimStatus.currentVolumeAttributesClassName",
        "core/v1.PersistentVolumeSpec.volumeAttributesClassName",
        "core/v1.PodResourceClaim.resourceClaimName",
        "core/v1.PodResourceClaim.resourceClaimTemplateName",
        "core/v1.PodResourceClaimStatus.resourceClaimName",
        "core/v1.PodSpec.hostnameOverride",
        "core/v1.PodSpec.runtimeClassName",
        "core/v1.ServicePort.appProtocol",
        "core/v1.TypedLocalObjectReference.apiGroup",
        "core/v1.TypedObjectReference.apiGroup",
        "core/v1.TypedObjectReference.namespace",
        "discovery/v1.EndpointPort.appProtocol",
        "discovery/v1.EndpointPort.name",
        "meta/v1.Preconditions.resourceVersion",
        "meta/v1.Preconditions.uid",
        "networking/v1.IngressClassParametersReference.apiGroup",
        "networking/v1.IngressClassParametersReference.namespace",
        "networking/v1.IngressSpec.ingressClassName",
        "resource/v1.DeviceAttribute.string",
        "resource/v1.DeviceAttribute.version",
        "resource/v1beta1.DeviceAttribute.string",
        "resource/v1beta1.DeviceAttribute.version",
        "resource/v1beta2.DeviceAttribute.string",
        "resource/v1beta2.DeviceAttribute.version",
        "storage/v1.VolumeAttachmentSource.persistentVolumeName",
    ]
)


#: Texts and numbers that Go prints though they are optional and empty: by value, without ``omitempty``.
SCALAR_VALUES = frozenset(
    [
        "apps/v1.StatefulSetOrdinals.start",
        "apps/v1.StatefulSetSpec.serviceName",
        "apps/v1.StatefulSetStatus.availableReplicas",
        "batch/v1.PodFailurePolicyOnPodConditionsPattern.status",
        "core/v1.Event.reportingComponent",
        "core/v1.Event.reportingInstance",
        "core/v1.NodeRuntimeHandler.name",
        "flowcontrol/v1.FlowSchemaSpec.matchingPrecedence",
        "flowcontrol/v1.QueuingConfiguration.handSize",
        "flowcontrol/v1.QueuingConfiguration.queueLengthLimit",
        "flowcontrol/v1.QueuingConfiguration.queues",
        "policy/v1.PodDisruptionBudgetStatus.currentHealthy",
        "policy/v1.PodDisruptionBudgetStatus.desiredHealthy",
        "policy/v1.PodDisruptionBudgetStatus.disruptionsAllowed",
        "policy/v1.PodDisruptionBudgetStatus.expectedPods",
        "rbac/v1.RoleRef.apiGroup",
        "resource/v1beta1.DeviceRequest.deviceClassName",
        "scheduling/v1.PriorityClass.value",
    ]
)
#: Quantities that Go holds by value though they are optional: always printed.
QUANTITY_VALUES = frozenset(["core/v1.ResourceFieldSelector.divisor"])


def is_scalar_value(type_: Type, field: Field) -> bool:
    """Whether a text or number is never absent."""
    return field.required or f"{type_.package}.{type_.name}.{field.wire}" in SCALAR_VALUES


def is_quantity_value(type_: Type, field: Field) -> bool:
    """Whether a quantity is never absent."""
    return field.required or f"{type_.package}.{type_.name}.{field.wire}" in QUANTITY_VALUES


def is_struct_value(type_: Type, field: Field) -> bool:
    """Whether Go holds this struct field by value, so that it is never absent."""
    place = f"{type_.package}.{type_.name}.{field.wire}"
    if place in STRUCT_POINTERS:
        return False
    of_a_kind = type_.gvk is not None and field.wire in ("spec", "status")
    return field.required or field.wire == "metadata" or of_a_kind or place in STRUCT_VALUES


def is_string_pointer(type_: Type, field: Field) -> bool:
    """Whether ``""`` means something else than absent."""
    return f"{type_.package}.{type_.name}.{field.wire}" in STRING_POINTERS


def unknown_places(types: dict[str, Type]) -> set[str]:
    """Entries of the tables that name no field: a table that is out of date."""
    known = {f"{each.package}.{each.name}.{field.wire}" for each in types.values() for field in each.fields}
    return (STRUCT_VALUES | STRUCT_POINTERS | STRING_POINTERS | SCALAR_VALUES | QUANTITY_VALUES) - known
