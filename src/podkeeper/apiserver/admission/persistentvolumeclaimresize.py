"""PersistentVolumeClaimResize: only bound claims grow, and only where their storage class allows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.registry.admission import Attributes

Tree = Mapping[str, Any]

_CLASS = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize(Plugin):
    """Judges claims that ask for more than they did."""

    interest = interest("UPDATE", "/persistentvolumeclaims")

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for one that may not grow."""
        assert attributes.tree is not None
        assert attributes.old is not None
        if _size(attributes.tree) <= _size(attributes.old):
            return
        if (attributes.old.get("status") or {}).get("phase") != "Bound":
            raise forbidden(attributes, "Only bound persistent volume claims can be expanded")
        name = _class(attributes.tree) or _class(attributes.old)
        found = await self.live.get("storage.k8s.io", "storageclasses", "", name) if name else None
        if found is None or not found.get("allowVolumeExpansion"):
            raise forbidden(
                attributes,
                "only dynamically provisioned pvc can be resized and "
                "the storageclass that provisions the pvc must support resize",
            )


def _size(claim: Tree) -> Quantity:
    resources = (claim.get("spec") or {}).get("resources") or {}
    return Quantity((resources.get("requests") or {}).get("storage") or 0)


def _class(claim: Tree) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get(_CLASS) or (claim.get("spec") or {}).get("storageClassName") or ""
