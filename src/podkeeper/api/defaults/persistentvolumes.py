"""PersistentVolume and PersistentVolumeClaim."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults import volumes
from podkeeper.api.defaults.trees import child, fill, fill_empty, round_amounts

Tree = dict[str, Any]


def persistent_volume(tree: Tree) -> None:
    """PersistentVolume: kept when released, a file system."""
    fill_empty(child(tree, "status"), "phase", "Pending")
    spec = child(tree, "spec")
    fill_empty(spec, "persistentVolumeReclaimPolicy", "Retain")
    fill(spec, "volumeMode", "Filesystem")
    round_amounts(spec.get("capacity"))
    for key, value in list(spec.items()):
        if isinstance(value, dict):
            volumes.source(key, value)


def persistent_volume_claim(tree: Tree) -> None:
    """PersistentVolumeClaim, the kind and the template in a StatefulSet."""
    fill_empty(child(tree, "status"), "phase", "Pending")
    volumes.claim_spec(child(tree, "spec"))
