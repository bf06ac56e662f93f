"""storage.k8s.io: classes of volumes, CSI drivers and what they say about nodes and room, attachments.

Source: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from podkeeper.api import names
from podkeeper.api.validation.fields import NOT_NEGATIVE, Found, indexed
from podkeeper.api.validation.selectors import label_selector
from podkeeper.api.validation.volumes import csi_driver_name

if TYPE_CHECKING:
    from podkeeper.api.storage import v1 as storage

_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES = ("Persistent", "Ephemeral")
_MAX_PARAMETERS = 512
_MAX_PARAMETER_BYTES = 256 * 1024
_MAX_NODE_ID = 256
_SHORTEST_TOKEN = 600
_LONGEST_TOKEN = 1 << 32
_CLASS_FORBIDDEN = "updates to {} are forbidden."
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def storage_class(found: Found, obj: storage.StorageClass) -> None:
    """A new class."""
    _provisioner(found, "provisioner", obj.provisioner)
    _parameters(found, obj.parameters)
    found.one_of("reclaimPolicy", obj.reclaim_policy, ("Delete", "Retain"))
    found.one_of("volumeBindingMode", obj.volume_binding_mode, _BINDING_MODES)
    for path, term in indexed("allowedTopologies", obj.allowed_topologies):
        for inner, requirement in indexed(f"{path}.matchLabelExpressions", term.match_label_expressions):
            if not requirement.values:
                found.required(f"{inner}.values")
            for item, value in indexed(f"{inner}.values", requirement.values):
                if value in requirement.values[: requirement.values.index(value)]:
                    found.duplicate(item, value)
            found.check(f"{inner}.key", requirement.key, names.label_key)


def storage_class_update(found: Found, new: storage.StorageClass, old: storage.StorageClass) -> None:
    """Only expansion, mount options and topologies may change."""
    for name, after, before in (
        ("parameters", new.parameters, old.parameters),
        ("provisioner", new.provisioner, old.provisioner),
        ("reclaimPolicy", new.reclaim_policy, old.reclaim_policy),
    ):
        if after != before:
            found.forbidden(name, _CLASS_FORBIDDEN.format(name))
    found.unchanged("volumeBindingMode", new.volume_binding_mode, old.volume_binding_mode)


def attributes_class(found: Found, obj: storage.VolumeAttributesClass) -> None:
    """A new VolumeAttributesClass."""
    _provisioner(found, "driverName", obj.driver_name)
    _parameters(found, obj.parameters)
    if not obj.parameters:
        found.required("parameters", "must contain at least one key/value pair")


def attributes_class_update(
    found: Found, new: storage.VolumeAttributesClass, old: storage.VolumeAttributesClass
) -> None:
    """Nothing may change."""
    if new.driver_name != old.driver_name:
        found.forbidden("driverName", _CLASS_FORBIDDEN.format("driverName"))
    if new.parameters != old.parameters:
        found.forbidden("parameters", _CLASS_FORBIDDEN.format("parameters"))
    attributes_class(found, new)


def csi_driver(found: Found, obj: storage.CSIDriver) -> None:
    """A new driver. Defaults have filled in its switches."""
    spec = obj.spec
    if spec.fs_group_policy and spec.fs_group_policy not in _GROUP_POLICIES:
        found.unsupported("spec.fsGroupPolicy", spec.fs_group_policy, _GROUP_POLICIES)
    _token_requests(found, "spec.tokenRequests", spec.token_requests)
    for mode in spec.volume_lifecycle_modes:
        if mode not in _LIFECYCLES:
            found.unsupported("spec.volumeLifecycleModes", mode, _LIFECYCLES)
    period = spec.node_allocatable_update_period_seconds
    if period is not None and period < 10:
        why = "must be greater than or equal to 10 seconds"
        found.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, why)


def csi_driver_update(found: Found, new: storage.CSIDriver, old: storage.CSIDriver) -> None:
    """How volumes come to a node, and which sorts there are, stays."""
    csi_driver(found, new)
    found.unchanged("spec.attachedRequired", new.spec.attach_required, old.spec.attach_required)
    found.unchanged("spec.volumeLifecycleModes", new.spec.volume_lifecycle_modes, old.spec.volume_lifecycle_modes)


def csi_node(found: Found, obj: storage.CSINode) -> None:
    """What drivers say about a node."""
    seen = set()
    for path, driver in indexed("spec.drivers", obj.spec.drivers):
        csi_driver_name(found, f"{path}.name", driver.name)
        if not driver.node_id:
            found.required(f"{path}.nodeID")
        elif len(driver.node_id) > _MAX_NODE_ID:
            found.invalid(f"{path}.nodeID", driver.node_id, f"must be {_MAX_NODE_ID} characters or less")
        if driver.allocatable is not None:
            found.not_negative(f"{path}.allocatable.count", driver.allocatable.count)
        if driver.name in seen:
            found.duplicate(f"{path}.name", driver.name)
        seen.add(driver.name)
        for index, key in enumerate(driver.topology_keys):
            if not key:
                found.required(path)
            if key in driver.topology_keys[:index]:
                found.duplicate(path, key)
            found.check(path, key, names.qualified_name)


def csi_node_update(found: Found, new: storage.CSINode, old: storage.CSINode) -> None:
    """Drivers come and go; one that stays changes only how many volumes it takes."""
    csi_node(found, new)
    before = {driver.name: driver for driver in old.spec.drivers}
    for driver in new.spec.drivers:
        if driver.name in before:
            same = replace(before[driver.name], allocatable=driver.allocatable)
            found.unchanged("spec.drivers", driver, same)


def storage_capacity(found: Found, obj: storage.CSIStorageCapacity) -> None:
    """Room that a driver has somewhere."""
    label_selector(found, "nodeTopology", obj.node_topology)
    found.check("storageClassName", obj.storage_class_name, names.dns_subdomain)
    if obj.capacity is not None and obj.capacity.sign() < 0:
        found.invalid("capacity", str(obj.capacity), NOT_NEGATIVE)


def storage_capacity_update(found: Found, new: storage.CSIStorageCapacity, old: storage.CSIStorageCapacity) -> None:
    """Where and for which class stays."""
    found.unchanged("nodeTopology", new.node_topology, old.node_topology)
    found.unchanged("storageClassName", new.storage_class_name, old.storage_class_name)


def volume_attachment(found: Found, obj: storage.VolumeAttachment) -> None:
    """A new attachment of a volume to a node."""
    spec, source = obj.spec, obj.spec.source
    if not spec.attacher:
        found.required("spec.attacher")
    if source.inline_volume_spec is None and source.persistent_volume_name is None:
        found.required("spec.source", _ONE_SOURCE)
    elif source.inline_volume_spec is not None and source.persistent_volume_name is not None:
        found.forbidden("spec.source", _ONE_SOURCE)
    elif source.persistent_volume_name == "":
        found.required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName")
    found.check("spec.nodeName", spec.node_name, names.dns_subdomain)
    if spec.attacher:
        csi_driver_name(found, "spec.attacher", spec.attacher)
    if source.persistent_volume_name:
        found.check("spec.source.persistentVolumeName", source.persistent_volume_name, names.dns_subdomain)


def volume_attachment_update(found: Found, new: storage.VolumeAttachment, old: storage.VolumeAttachment) -> None:
    """What was asked for stays."""
    volume_attachment(found, new)
    found.unchanged("spec", new.spec, old.spec)


def _provisioner(found: Found, at: str, name: str) -> None:
    if not name:
        found.required(at)
    else:
        found.check(at, name.lower(), names.qualified_name)


def _parameters(found: Found, parameters: Mapping[str, str]) -> None:
    if len(parameters) > _MAX_PARAMETERS:
        found.too_long("parameters", _MAX_PARAMETERS)
        return
    if "" in parameters:
        found.invalid("parameters", "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _MAX_PARAMETER_BYTES:
        found.too_long("parameters", _MAX_PARAMETER_BYTES)


def _token_requests(found: Found, at: str, requests: tuple[storage.TokenRequest, ...]) -> None:
    seen = set()
    for path, request in indexed(at, requests):
        if request.audience in seen:
            found.duplicate(f"{path}.audience", request.audience)
            continue
        seen.add(request.audience)
        seconds = request.expiration_seconds
        if seconds is not None and seconds < _SHORTEST_TOKEN:
            found.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > _LONGEST_TOKEN:
            why = "may not specify a duration larger than 2^32 seconds"
            found.invalid(f"{path}.expirationSeconds", seconds, why)
