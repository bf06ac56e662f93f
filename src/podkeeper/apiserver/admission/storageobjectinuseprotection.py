"""StorageObjectInUseProtection: claims and volumes get the finalizer that keeps them while they are used."""

from __future__ import annotations

from podkeeper.apiserver.admission.plugin import Plugin, interest
from podkeeper.registry.admission import Attributes

_FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class StorageObjectInUseProtection(Plugin):
    """Adds the finalizer; a controller takes it off."""

    interest = interest("CREATE", "/persistentvolumeclaims", "/persistentvolumes")

    async def mutate(self, attributes: Attributes) -> None:
        """Adds it unless it is there."""
        assert attributes.tree is not None
        metadata = attributes.tree["metadata"]
        finalizer = _FINALIZERS[attributes.resource.name]
        present = metadata.get("finalizers") or []
        if finalizer not in present:
            metadata["finalizers"] = [*present, finalizer]
