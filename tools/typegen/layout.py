"""Which module of its package a type lives in: one module per noun.

A kind, its list and the types that only it is made of live in the module named after the kind. Types that several kinds
share are placed by the table below, by exact name or by prefix or suffix. Modules import what their types are made of,
so they may not import one another in a circle; ``check_acyclic`` refuses a layout where they would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from typegen.facts import Type

# package -> module -> names; a trailing or leading * stands for any text. The first match wins.
NOUNS: Mapping[str, Mapping[str, str]] = {
    "core/v1": {
        "reference": "ObjectReference LocalObjectReference SecretReference TypedLocalObjectReference "
        "TypedObjectReference",
        "selector": "NodeSelector NodeSelectorTerm NodeSelectorRequirement TopologySelector*",
        "binding": "Binding",
        "persistentvolumeclaim": "PersistentVolumeClaim* VolumeResourceRequirements ModifyVolumeStatus",
        "persistentvolume": "*PersistentVolumeSource PersistentVolume* VolumeNodeAffinity LocalVolumeSource",
        "attachedvolume": "AWSElasticBlockStoreVolumeSource AzureDiskVolumeSource FCVolumeSource FlockerVolumeSource "
        "GCEPersistentDiskVolumeSource HostPathVolumeSource NFSVolumeSource PhotonPersistentDiskVolumeSource "
        "PortworxVolumeSource QuobyteVolumeSource VsphereVirtualDiskVolumeSource",
        "environment": "EnvVar EnvFromSource EnvVarSource ConfigMapEnvSource ConfigMapKeySelector FileKeySelector "
        "ObjectFieldSelector ResourceFieldSelector SecretEnvSource SecretKeySelector",
        "volume": "Volume *VolumeSource *Projection KeyToPath DownwardAPIVolumeFile VolumeProjection",
        "security": "SecurityContext PodSecurityContext Capabilities AppArmorProfile SeccompProfile SELinuxOptions "
        "Sysctl WindowsSecurityContextOptions",
        "probe": "Probe Lifecycle LifecycleHandler ExecAction GRPCAction HTTPGetAction HTTPHeader SleepAction "
        "TCPSocketAction",
        "affinity": "Affinity NodeAffinity PodAffinity PodAffinityTerm PodAntiAffinity PreferredSchedulingTerm "
        "WeightedPodAffinityTerm Toleration TopologySpreadConstraint",
        "container": "Container ContainerPort ContainerResizePolicy ContainerRestartRule* EphemeralContainer "
        "ResourceClaim ResourceRequirements VolumeDevice VolumeMount",
        "podtemplate": "PodTemplate PodTemplateList PodTemplateSpec",
        "podspec": "PodSpec HostAlias PodDNSConfig* PodOS PodReadinessGate PodResourceClaim PodSchedulingGate "
        "PodSchedulingGroup",
        "containerstatus": "ContainerState* ContainerUser ContainerStatus LinuxContainerUser ResourceHealth "
        "ResourceStatus VolumeMountStatus VolumeStatus ImageVolumeStatus",
    },
    "admissionregistration/v1": {
        "matching": "MatchCondition MatchResources NamedRuleWithOperations RuleWithOperations ParamKind ParamRef "
        "Variable",
        "webhook": "ServiceReference WebhookClientConfig",
    },
    "admissionregistration/v1alpha1": {"matching": "MatchResources NamedRuleWithOperations"},
    "admissionregistration/v1beta1": {"matching": "MatchResources NamedRuleWithOperations"},
    "authentication/v1": {"userinfo": "UserInfo"},
    "authorization/v1": {"subjectaccessreview": "*Attributes SubjectAccessReview*"},
    "batch/v1": {"job": "JobSpec PodFailurePolicy* SuccessPolicy*"},
    "rbac/v1": {"policyrule": "PolicyRule", "subject": "RoleRef Subject"},
    "resource/v1": {
        "deviceselector": "CELDeviceSelector DeviceSelector OpaqueDeviceConfiguration",
        "deviceclaim": "CapacityRequirements DeviceClaim DeviceClaimConfiguration DeviceConstraint DeviceRequest "
        "DeviceSubRequest DeviceToleration ExactDeviceRequest ResourceClaimSpec",
    },
    "resource/v1beta1": {
        "deviceselector": "CELDeviceSelector DeviceSelector OpaqueDeviceConfiguration",
        "deviceclaim": "CapacityRequirements DeviceClaim DeviceClaimConfiguration DeviceConstraint DeviceRequest "
        "DeviceSubRequest DeviceToleration ResourceClaimSpec",
    },
    "resource/v1beta2": {
        "deviceselector": "CELDeviceSelector DeviceSelector OpaqueDeviceConfiguration",
        "deviceclaim": "CapacityRequirements DeviceClaim DeviceClaimConfiguration DeviceConstraint DeviceRequest "
        "DeviceSubRequest DeviceToleration ExactDeviceRequest ResourceClaimSpec",
        "devicetaint": "DeviceTaint",
    },
    "scheduling/v1alpha2": {
        "podgrouppolicy": "BasicSchedulingPolicy GangSchedulingPolicy PodGroupResourceClaim "
        "PodGroupSchedulingConstraints PodGroupSchedulingPolicy TopologyConstraint",
    },
    "meta/v1": {
        "objectmeta": "ObjectMeta OwnerReference ManagedFieldsEntry",
        "listmeta": "ListMeta ShardInfo",
        "labelselector": "LabelSelector* FieldSelectorRequirement",
        "condition": "Condition",
        "status": "Status StatusDetails StatusCause",
        "options": "DeleteOptions Preconditions",
        "discovery": "API* GroupVersionForDiscovery ServerAddressByClientCIDR GroupResource",
        "watch": "WatchEvent",
        "version": "VersionInfo",
    },
    "apiextensions/v1": {
        "jsonschema": "JSONSchemaProps ExternalDocumentation ValidationRule",
    },
}


def assign_modules(types: Mapping[str, Type]) -> dict[str, str]:
    """The dotted module below ``podkeeper.api`` of every type: ``core.v1.pod``."""
    owners = _owners(types)
    return {
        name: f"{type_.package.replace('/', '.')}.{_noun(type_, owners.get(name, set()))}"
        for name, type_ in types.items()
    }


def _noun(type_: Type, owners: set[str]) -> str:
    for noun, names in NOUNS.get(type_.package, {}).items():
        if any(_matches(type_.name, pattern) for pattern in names.split()):
            return noun
    if type_.gvk:
        kind = type_.name
        return kind.removesuffix("List").lower()
    if len(owners) != 1:
        raise SystemExit(f"{type_.full_name} is part of {sorted(owners) or 'no kind'}: place it in layout.NOUNS")
    return next(iter(owners)).lower()


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _owners(types: Mapping[str, Type]) -> dict[str, set[str]]:
    """Which kinds of its own package a type is part of."""
    owners: dict[str, set[str]] = defaultdict(set)
    for type_ in types.values():
        if type_.gvk and not type_.name.endswith("List"):
            for name in _reachable(type_, types):
                owners[name].add(type_.name)
    return owners


def _reachable(root: Type, types: Mapping[str, Type]) -> set[str]:
    seen: set[str] = set()
    pending = [root.full_name]
    while pending:
        for name in types[pending.pop()].references():
            if name not in seen and types[name].package == root.package:
                seen.add(name)
                pending.append(name)
    return seen


def check_acyclic(imports: Mapping[str, Iterable[str]]) -> None:
    """Refuses, by name, modules that would import one another in a circle."""
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            raise SystemExit(f"modules import in a circle: {' -> '.join([*path[path.index(module) :], module])}")
        if module not in done:
            for target in imports.get(module, ()):
                visit(target, (*path, module))
            done.add(module)

    for module in imports:
        visit(module, ())
