"""Persistent volumes that are bound: a deleted one stays until it is bound no more.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.controllers.framework import Key, Tools, Watch
from podkeeper.controllers.protection import finalizers

FINALIZER = "kubernetes.io/pv-protection"
_BOUND = "Bound"


class VolumeProtection:
    """Keys are volumes."""

    name = "pv-protection-controller"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._volumes = tools.informer(v1.PersistentVolume)

    def watches(self) -> Sequence[Watch[Any]]:
        """Volumes."""
        return (Watch(self._volumes, lambda old, new: finalizers.keys_in_need(FINALIZER, old, new)),)

    async def reconcile(self, key: Key) -> float | None:
        """Takes the finalizer off a volume that is deleted and not bound; puts it on one that has none."""
        volume = self._volumes.lister.get(*key)
        if volume is None:
            return None
        bound = volume.status is not None and volume.status.phase == _BOUND
        if finalizers.may_go(volume, FINALIZER) and not bound:
            await finalizers.take_off(self._tools.api, volume, FINALIZER)
        elif finalizers.lacks(volume, FINALIZER):
            await finalizers.put_on(self._tools.api, volume, FINALIZER)
        return None
