"""Namespaces, nodes, quotas, limits and persistent volumes.

Source: https://kubernetes.io/docs/reference/kubernetes-api/ (each kind's page).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from podkeeper.api import names
from podkeeper.api.validation import quotascopes
from podkeeper.api.validation.computeresources import amount, quota_resource_name, resource_name
from podkeeper.api.validation.fields import Found, indexed, keyed
from podkeeper.api.validation.metadata import UNKNOWN_FINALIZER
from podkeeper.api.validation.paths import network, no_backsteps
from podkeeper.api.validation.persistentvolumeclaims import access_modes
from podkeeper.api.validation.selectors import node_selector
from podkeeper.api.validation.volumes import host_path, needed, nfs

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_VOLUME_OPTIONS = frozenset(
    {
        "access_modes",
        "capacity",
        "claim_ref",
        "mount_options",
        "node_affinity",
        "persistent_volume_reclaim_policy",
        "storage_class_name",
        "volume_attributes_class_name",
        "volume_mode",
    }
)
_SOURCE_FROZEN = "spec.persistentvolumesource is immutable after creation"


def namespace(found: Found, obj: v1.Namespace) -> None:
    """A new namespace: its finalizers are names with a domain, or the one that the server knows."""
    for each in obj.spec.finalizers:
        found.check("spec.finalizers", each, names.qualified_name)
        if "/" not in each and each != "kubernetes":
            found.invalid("spec.finalizers", each, UNKNOWN_FINALIZER)


def namespace_update(found: Found, new: v1.Namespace, old: v1.Namespace) -> None:
    """Finalizers come and go."""
    namespace(found, new)


def node(found: Found, obj: v1.Node) -> None:
    """A new or changed node: its taints, which upstream shows below ``metadata``, and its address ranges."""
    seen = set()
    for path, taint in indexed("metadata.taints", obj.spec.taints):
        found.check(f"{path}.key", taint.key, names.qualified_name)
        found.check(f"{path}.value", taint.value, names.label_value)
        found.one_of(f"{path}.effect", taint.effect, _EFFECTS)
        if (taint.key, taint.effect) in seen:
            found.duplicate(path, taint, "taints must be unique by key and effect pair")
        seen.add((taint.key, taint.effect))
    for path, each in indexed("spec.podCIDRs", obj.spec.pod_cidrs):
        network(found, path, each)


def node_update(found: Found, new: v1.Node, old: v1.Node) -> None:
    """Provider and address range are set once."""
    node(found, new)
    after, before = new.spec, old.spec
    if before.provider_id and after.provider_id != before.provider_id:
        found.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')
    if before.pod_cidrs and after.pod_cidrs != before.pod_cidrs:
        found.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')


def resource_quota(found: Found, obj: v1.ResourceQuota) -> None:
    """A new or changed quota."""
    for path, name, value in keyed("spec.hard", obj.spec.hard):
        found.check(path, name, quota_resource_name)
        amount(found, path, name, value)
    quotascopes.scopes(found, obj.spec)


def resource_quota_update(found: Found, new: v1.ResourceQuota, old: v1.ResourceQuota) -> None:
    """The scopes stay."""
    resource_quota(found, new)
    found.unchanged("spec.scopes", new.spec.scopes, old.spec.scopes)


def limit_range(found: Found, obj: v1.LimitRange) -> None:
    """A new or changed range: one item for each type, least not above most."""
    seen = set()
    for path, item in indexed("spec.limits", obj.spec.limits):
        if item.type in seen:
            found.duplicate(f"{path}.type", item.type)
        seen.add(item.type)
        if item.type == "Pod":
            for name, given in (("default", item.default), ("defaultRequest", item.default_request)):
                if given:
                    found.forbidden(f"{path}.{name}", "may not be specified when `type` is 'Pod'")
        _limits(found, path, item)


def limit_range_update(found: Found, new: v1.LimitRange, old: v1.LimitRange) -> None:
    """Everything may change."""
    limit_range(found, new)


def persistent_volume(found: Found, obj: v1.PersistentVolume) -> None:
    """A new volume."""
    spec = obj.spec
    if not spec.access_modes:
        found.required("spec.accessModes")
    access_modes(found, "spec.accessModes", spec.access_modes)
    if not spec.capacity:
        found.required("spec.capacity")
    elif set(spec.capacity) != {"storage"}:
        found.unsupported("spec.capacity", ",".join(sorted(spec.capacity)), ("storage",))
    for path, _, value in keyed("spec.capacity", spec.capacity):
        if value.sign() <= 0:
            found.invalid(path, str(value), "must be greater than zero")
    if spec.persistent_volume_reclaim_policy not in ("", "Delete", "Recycle", "Retain"):
        supported = ("Delete", "Recycle", "Retain")
        found.unsupported("spec.persistentVolumeReclaimPolicy", spec.persistent_volume_reclaim_policy, supported)
    _volume_source(found, spec)
    if spec.node_affinity is not None and spec.node_affinity.required is not None:
        node_selector(found, "spec.nodeAffinity.required", spec.node_affinity.required)
    if spec.local is not None:
        no_backsteps(found, "spec.local.path", spec.local.path)
        if spec.node_affinity is None or spec.node_affinity.required is None:
            found.required("spec.nodeAffinity", "Local volume requires node affinity")
    if spec.storage_class_name:
        found.check("spec.storageClassName", spec.storage_class_name, names.dns_subdomain)
    if spec.volume_mode and spec.volume_mode not in ("Block", "Filesystem"):
        found.unsupported("spec.volumeMode", spec.volume_mode, ("Block", "Filesystem"))


def persistent_volume_update(found: Found, new: v1.PersistentVolume, old: v1.PersistentVolume) -> None:
    """What the volume is stays."""
    persistent_volume(found, new)
    for member in msgspec.structs.fields(type(new.spec)):
        if member.name in _VOLUME_OPTIONS:
            continue
        if getattr(new.spec, member.name) != getattr(old.spec, member.name):
            found.forbidden("spec.persistentvolumesource", _SOURCE_FROZEN)
            break
    found.unchanged("spec.volumeMode", new.spec.volume_mode, old.spec.volume_mode)


def _limits(found: Found, at: str, item: v1.LimitRangeItem) -> None:
    for path, name, least in keyed(f"{at}.min", item.min):
        found.check(path, name, resource_name)
        most = item.max.get(name)
        if most is not None and least > most:
            why = f"min value {least} is greater than max value {most}"
            found.invalid(path, str(least), why)
    for path, name, value in keyed(f"{at}.default", item.default):
        most = item.max.get(name)
        if most is not None and value > most:
            found.invalid(path, str(value), f"default value {value} is greater than max value {most}")
    for path, name, value in keyed(f"{at}.defaultRequest", item.default_request):
        most = item.default.get(name, item.max.get(name))
        if most is not None and value > most:
            why = f"default request value {value} is greater than default limit value {most}"
            found.invalid(path, str(value), why)


def _volume_source(found: Found, spec: v1.PersistentVolumeSpec) -> None:
    count = 0
    for member in msgspec.structs.fields(type(spec)):
        source = getattr(spec, member.name)
        if member.name in _VOLUME_OPTIONS or source is None:
            continue
        count += 1
        if count > 1:
            found.forbidden(f"spec.{member.encode_name}", "may not specify more than 1 volume type")
        else:
            needed(found, f"spec.{member.encode_name}", member.encode_name, source)
    if spec.host_path is not None:
        host_path(found, "spec.hostPath", spec.host_path)
    if spec.nfs is not None:
        nfs(found, "spec.nfs", spec.nfs)
    if not count:
        found.required("spec", "must specify a volume type")
