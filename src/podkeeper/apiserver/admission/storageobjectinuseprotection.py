"""StorageObjectInUseProtection: claims, volumes and attributes classes get a finalizer that keeps them while used."""

from __future__ import annotations

from podkeeper.apiserver.admission.plugin import Plugin, interest
from podkeeper.registry.admission import Attributes

_FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(Plugin):
    """Adds the finalizer; a controller takes it off."""

    interest = interest(
        "CREATE", "/persistentvolumeclaims", "/persistentvolumes", "storage.k8s.io/volumeattributesclasses"
    )

    async def mutate(self, attributes: Attributes) -> None:
        """Adds it unless it is there."""
        assert attributes.tree is not None
        metadata = attributes.tree["metadata"]
        finalizer = _FINALIZERS[attributes.resource.name]
        present = metadata.get("finalizers") or []
        if finalizer not in present:
            metadata["finalizers"] = [*present, finalizer]
