"""DefaultStorageClass and DefaultIngressClass: an object that names no class gets the one that is marked as default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.apiserver.admission.plugin import Plugin, interest
from podkeeper.registry.admission import Attributes

_STORAGE = "storageclass.kubernetes.io/is-default-class"
_STORAGE_BETA = "storageclass.beta.kubernetes.io/is-default-class"
_INGRESS = "ingressclass.kubernetes.io/is-default-class"


class DefaultStorageClass(Plugin):
    """For claims without storageClassName (an empty one means none on purpose)."""

    interest = interest("CREATE", "/persistentvolumeclaims")

    async def mutate(self, attributes: Attributes) -> None:
        """Sets the class."""
        assert attributes.tree is not None
        spec = attributes.tree.setdefault("spec", {})
        annotations = attributes.tree["metadata"].get("annotations") or {}
        if spec.get("storageClassName") is not None or "volume.beta.kubernetes.io/storage-class" in annotations:
            return
        classes = await self.live.followed("storage.k8s.io", "storageclasses")
        name = default_class(classes.all(), _STORAGE, _STORAGE_BETA)
        if name:
            spec["storageClassName"] = name


class DefaultIngressClass(Plugin):
    """For ingresses that name no class, neither in the spec nor by the old annotation."""

    interest = interest("CREATE", "networking.k8s.io/ingresses")

    async def mutate(self, attributes: Attributes) -> None:
        """Sets the class."""
        assert attributes.tree is not None
        spec = attributes.tree.setdefault("spec", {})
        annotations = attributes.tree["metadata"].get("annotations") or {}
        if spec.get("ingressClassName") is not None or "kubernetes.io/ingress.class" in annotations:
            return
        classes = await self.live.followed("networking.k8s.io", "ingressclasses")
        name = default_class(classes.all(), _INGRESS)
        if name:
            spec["ingressClassName"] = name


def default_class(classes: Sequence[dict[str, Any]], *annotations: str) -> str:
    """The newest class that is marked as default, of several equally new ones the first by name; empty if none is."""
    marked = [
        each["metadata"]
        for each in classes
        if any((each["metadata"].get("annotations") or {}).get(name) == "true" for name in annotations)
    ]
    marked.sort(key=lambda metadata: metadata["name"])
    marked.sort(key=lambda metadata: metadata.get("creationTimestamp") or "", reverse=True)
    return str(marked[0]["name"]) if marked else ""
