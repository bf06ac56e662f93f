"""Persistent volume claims that pods use: a deleted one stays until the last pod on a node that mounts it is gone.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.pods.claims import claims_of
from podkeeper.api.pods.phase import is_terminal
from podkeeper.controllers.framework import Key, Tools, Watch
from podkeeper.controllers.ownership import controller_uid
from podkeeper.controllers.protection import finalizers

FINALIZER = "kubernetes.io/pvc-protection"
_USERS = "pvc-protection-claims"


class ClaimProtection:
    """Keys are claims."""

    name = "pvc-protection-controller"
    workers = 2

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._claims, self._pods = tools.informer(v1.PersistentVolumeClaim), tools.informer(v1.Pod)
        self._pods.add_index(_USERS, lambda pod: [f"{pod.metadata.namespace}/{each.name}" for each in claims_of(pod)])

    def watches(self) -> Sequence[Watch[Any]]:
        """Claims, and pods that use them no more."""
        return (
            Watch(self._claims, lambda old, new: finalizers.keys_in_need(FINALIZER, old, new)),
            Watch(self._pods, claims_let_go),
        )

    async def reconcile(self, key: Key) -> float | None:
        """Takes the finalizer off a claim that is deleted and unused; puts it on one that has none."""
        claim = self._claims.lister.get(*key)
        if claim is None:
            return None
        if finalizers.may_go(claim, FINALIZER) and not await self._is_used(claim):
            await finalizers.take_off(self._tools.api, claim, FINALIZER)
        elif finalizers.lacks(claim, FINALIZER):
            await finalizers.put_on(self._tools.api, claim, FINALIZER)
        return None

    async def _is_used(self, claim: v1.PersistentVolumeClaim) -> bool:
        """Known pods are asked first; only that there is none is asked of the server, whose word is newer."""
        metadata = claim.metadata
        known = self._pods.lister.by_index(_USERS, f"{metadata.namespace}/{metadata.name}")
        if any(uses(pod, claim) for pod in known):
            return True
        listed = await self._tools.api.of(v1.Pod).list(metadata.namespace)
        return any(uses(pod, claim) for pod in listed.items)


def uses(pod: v1.Pod, claim: v1.PersistentVolumeClaim) -> bool:
    """Whether a pod holds a claim. One without a node does not: no node starts a pod whose claim is being deleted."""
    if pod.spec is None or not pod.spec.node_name:
        return False
    own = controller_uid(claim) == pod.metadata.uid and not _is_shut_down(pod)
    return any(each.name == claim.metadata.name and (own or not each.ephemeral) for each in claims_of(pod))


def claims_let_go(old: v1.Pod | None, new: v1.Pod | None) -> Iterable[Key]:
    """The claims of a pod that has ended, has gone or has no node. One name may have been another pod's before."""
    released = [new] if new is not None and _has_let_go(new) else []
    if old is not None and (new is None or old.metadata.uid != new.metadata.uid):
        released.append(old)
    return {Key(pod.metadata.namespace, each.name) for pod in released for each in claims_of(pod)}


def _has_let_go(pod: v1.Pod) -> bool:
    """Whether a pod that is there may let its claims go."""
    return is_terminal(pod) or pod.spec is None or not pod.spec.node_name


def _is_shut_down(pod: v1.Pod) -> bool:
    """The node is done with it, or it was forced away; what holds it now may wait for the very claim."""
    return bool(pod.metadata.deletion_timestamp) and pod.metadata.deletion_grace_period_seconds == 0
