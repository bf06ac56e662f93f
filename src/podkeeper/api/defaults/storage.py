"""storage.k8s.io/v1: StorageClass and CSIDriver."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill, fill_empty

Tree = dict[str, Any]


def storage_class(tree: Tree) -> None:
    """StorageClass: volumes are deleted when released and bound at once."""
    fill(tree, "reclaimPolicy", "Delete")
    fill(tree, "volumeBindingMode", "Immediate")


def csi_driver(tree: Tree) -> None:
    """CSIDriver: volumes are attached and persistent; the driver asks for nothing more."""
    spec = child(tree, "spec")
    fill(spec, "attachRequired", True)
    for key in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        fill(spec, key, False)
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType")
    fill_empty(spec, "volumeLifecycleModes", ["Persistent"])
