"""Storage: volumes, claims, classes.

Source: upstream's pkg/api/persistentvolume, pkg/api/persistentvolumeclaim and pkg/api/storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from podkeeper.api.warnings import nodelabels

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.quantity import Quantity
    from podkeeper.api.storage import v1 as storage

_CLASS = "volume.beta.kubernetes.io/storage-class"
_NO_CLASS = f'metadata.annotations[{_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
_RECYCLE = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
#: Sources that went: attribute, field, what happened to them.
_SOURCES = (
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photon_persistent_disk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scale_io", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)


def fractional(at: str, amount: Quantity) -> Iterator[str]:
    """About an amount that should be whole bytes."""
    if amount.milli_value() % 1000:
        yield f'{at}: fractional byte value "{amount}" is invalid, must be an integer'


def persistent_volume(new: v1.PersistentVolume, old: v1.PersistentVolume | None) -> Iterator[str]:
    """A volume."""
    if _CLASS in new.metadata.annotations:
        yield _NO_CLASS
    spec = new.spec
    if spec.persistent_volume_reclaim_policy == "Recycle":
        yield f"spec.persistentVolumeReclaimPolicy: {_RECYCLE}"
    if spec.node_affinity is not None and spec.node_affinity.required is not None:
        for index, term in enumerate(spec.node_affinity.required.node_selector_terms):
            yield from nodelabels.of_term(f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]", term)
    for attribute, name, what in _SOURCES:
        if getattr(spec, attribute) is not None:
            yield f"spec.{name}: {what}"


def persistent_volume_claim(new: v1.PersistentVolumeClaim, old: v1.PersistentVolumeClaim | None) -> Iterator[str]:
    """A claim."""
    if _CLASS in new.metadata.annotations:
        yield _NO_CLASS
    yield from of_claim_spec("spec", new.spec)


def of_claim_spec(at: str, spec: v1.PersistentVolumeClaimSpec | None) -> Iterator[str]:
    """A claim's spec, wherever it stands."""
    resources = spec.resources if spec is not None else None
    if resources is None:
        return
    for name, amounts in (("requests", resources.requests), ("limits", resources.limits)):
        if "storage" in amounts:
            yield from fractional(f"{at}.resources.{name}[storage]", amounts["storage"])


def storage_class(new: storage.StorageClass, old: storage.StorageClass | None) -> Iterator[str]:
    """A storage class."""
    for index, term in enumerate(new.allowed_topologies):
        for number, expression in enumerate(term.match_label_expressions):
            if expression.key in nodelabels.DEPRECATED:
                where = f"allowedTopologies[{index}].matchLabelExpressions[{number}].key"
                yield f"{where}: {nodelabels.DEPRECATED[expression.key]}"


def storage_capacity(new: storage.CSIStorageCapacity, old: storage.CSIStorageCapacity | None) -> Iterator[str]:
    """How much storage there is somewhere."""
    yield from nodelabels.of_selector("nodeTopology", new.node_topology)
