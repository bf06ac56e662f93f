"""Volume attributes classes that claims and volumes name: a deleted one stays until none does.

Source: https://kubernetes.io/docs/concepts/storage/volume-attributes-classes/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.storage import v1 as storage
from podkeeper.controllers.framework import Key, Tools, Watch
from podkeeper.controllers.protection import finalizers

FINALIZER = "kubernetes.io/vac-protection"
_CLASSES = "vac-protection-classes"


class AttributesClassProtection:
    """Keys are classes."""

    name = "volumeattributesclass-protection-controller"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._classes = tools.informer(storage.VolumeAttributesClass)
        self._claims, self._volumes = tools.informer(v1.PersistentVolumeClaim), tools.informer(v1.PersistentVolume)
        self._claims.add_index(_CLASSES, classes_of_claim)
        self._volumes.add_index(_CLASSES, classes_of_volume)

    def watches(self) -> Sequence[Watch[Any]]:
        """Classes, and claims and volumes that name them no more."""
        return (
            Watch(self._classes, lambda old, new: finalizers.keys_in_need(FINALIZER, old, new)),
            Watch(self._claims, lambda old, new: _let_go(classes_of_claim, old, new)),
            Watch(self._volumes, lambda old, new: _let_go(classes_of_volume, old, new)),
        )

    async def reconcile(self, key: Key) -> float | None:
        """Takes the finalizer off a class that is deleted and unused; puts it on one that has none."""
        found = self._classes.lister.get(*key)
        if found is None:
            return None
        users = self._claims.lister.by_index(_CLASSES, key.name), self._volumes.lister.by_index(_CLASSES, key.name)
        if finalizers.may_go(found, FINALIZER) and not any(users):
            await finalizers.take_off(self._tools.api, found, FINALIZER)
        elif finalizers.lacks(found, FINALIZER):
            await finalizers.put_on(self._tools.api, found, FINALIZER)
        return None


def classes_of_claim(claim: v1.PersistentVolumeClaim) -> set[str]:
    """The class that a claim asks for, the one that it has, and the one that it is on its way to."""
    names = {claim.spec.volume_attributes_class_name if claim.spec is not None else None}
    if claim.status is not None:
        names.add(claim.status.current_volume_attributes_class_name)
        if claim.status.modify_volume_status is not None:
            names.add(claim.status.modify_volume_status.target_volume_attributes_class_name)
    return {name for name in names if name}


def classes_of_volume(volume: v1.PersistentVolume) -> set[str]:
    """The class that a volume names."""
    name = volume.spec.volume_attributes_class_name if volume.spec is not None else None
    return {name} if name else set()


def _let_go(classes_of: Any, old: Any, new: Any) -> Iterable[Key]:
    if old is None:
        return ()
    return [Key("", name) for name in classes_of(old) - (classes_of(new) if new is not None else set())]
