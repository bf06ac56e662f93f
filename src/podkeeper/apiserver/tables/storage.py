"""How volumes, claims, classes and what CSI drivers tell are printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.tables.column import (
    Columns,
    Tree,
    age,
    being_deleted,
    joined,
    name_of,
    printed,
    spec_of,
    status_of,
)

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def _modes(modes: Any) -> str:
    present = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in present)


def _phase(tree: Tree) -> str:
    return "Terminating" if being_deleted(tree) else str(status_of(tree).get("phase", ""))


def _class(tree: Tree) -> str:
    old = (tree["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    return str(old if old is not None else spec_of(tree).get("storageClassName") or "")


def _volume(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    claim = spec.get("claimRef")
    return [
        name_of(tree),
        str((spec.get("capacity") or {}).get("storage", "0")),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(tree),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(tree),
        spec.get("volumeAttributesClassName", "<unset>"),
        status_of(tree).get("reason", ""),
        age(tree, now),
        spec.get("volumeMode", "<unset>"),
    ]


def _claim(tree: Tree, now: float) -> list[Any]:
    spec, status = spec_of(tree), status_of(tree)
    bound = spec.get("volumeName") or ""
    return [
        name_of(tree),
        _phase(tree),
        bound,
        str((status.get("capacity") or {}).get("storage", "0")) if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        _class(tree),
        spec.get("volumeAttributesClassName", "<unset>"),
        age(tree, now),
        spec.get("volumeMode", "<unset>"),
    ]


def _storage_class(tree: Tree, now: float) -> list[Any]:
    annotations = tree["metadata"].get("annotations") or {}
    default = any(annotations.get(name) == "true" for name in _DEFAULT_CLASS)
    return [
        name_of(tree) + (" (default)" if default else ""),
        tree.get("provisioner", ""),
        tree.get("reclaimPolicy", "Delete"),
        tree.get("volumeBindingMode", "Immediate"),
        bool(tree.get("allowVolumeExpansion")),
        age(tree, now),
    ]


def _attributes_class(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), tree.get("driverName", ""), age(tree, now)]


def _attachment(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    return [
        name_of(tree),
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        bool(status_of(tree).get("attached")),
        age(tree, now),
    ]


def _csi_node(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), len(spec_of(tree).get("drivers") or ()), age(tree, now)]


def _csi_driver(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    requests = spec.get("tokenRequests")
    return [
        name_of(tree),
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        "<unset>" if requests is None else ",".join(each.get("audience", "") for each in requests),
        bool(spec.get("requiresRepublish")),
        joined(spec.get("volumeLifecycleModes") or ()),
        age(tree, now),
    ]


def _capacity(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), tree.get("storageClassName", ""), str(tree.get("capacity", "<unset>"))]


COLUMNS: Mapping[tuple[str, str], Columns] = {
    ("", "persistentvolumes"): printed(
        "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|"
        "VolumeMode*",
        _volume,
    ),
    ("", "persistentvolumeclaims"): printed(
        "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode*", _claim
    ),
    ("storage.k8s.io", "storageclasses"): printed(
        "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age", _storage_class
    ),
    ("storage.k8s.io", "volumeattributesclasses"): printed("Name|DriverName|Age", _attributes_class),
    ("storage.k8s.io", "volumeattachments"): printed("Name|Attacher|PV|Node|Attached:boolean|Age", _attachment),
    ("storage.k8s.io", "csinodes"): printed("Name|Drivers:integer|Age", _csi_node),
    ("storage.k8s.io", "csidrivers"): printed(
        "Name|AttachRequired:boolean|PodInfoOnMount:boolean|StorageCapacity:boolean|TokenRequests|"
        "RequiresRepublish:boolean|Modes|Age",
        _csi_driver,
    ),
    ("storage.k8s.io", "csistoragecapacities"): printed("Name|StorageClassName|Capacity", _capacity),
}
