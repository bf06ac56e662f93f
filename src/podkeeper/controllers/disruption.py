"""Disruption budgets: keeps in their status how many of their pods may go, which evictions then ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.policy import v1 as policy
from podkeeper.api.selectors import labels
from podkeeper.controllers import budgets
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.controllers.owner_scale import NoScale, OwnerScales

#: Until a budget that could not be counted is tried again: what it misses may appear without a change of its pods.
AGAIN_SECONDS = 15.0
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of "
    "the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please "
    'set ".spec.minAvailable" field of the PDB to an integer value.'
)


class DisruptionBudgets:
    """Keys are budgets."""

    name = "disruption-controller"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._budgets, self._pods = tools.informer(policy.PodDisruptionBudget), tools.informer(v1.Pod)
        self._owners = [tools.informer(kind) for kind in (apps.ReplicaSet, apps.Deployment, v1.ReplicationController)]
        self._scales = OwnerScales(tools)

    def watches(self) -> Sequence[Watch[Any]]:
        """Budgets, the pods they select, and what these pods' owners want."""
        own: Watch[Any] = Watch(self._budgets, own_key)
        pods: Watch[Any] = Watch(self._pods, self._pod_changed)
        return (own, pods, *(Watch(each, self._owner_changed) for each in self._owners))

    def _pod_changed(self, old: v1.Pod | None, new: v1.Pod | None) -> Iterable[Key]:
        return {
            Key(budget.metadata.namespace, budget.metadata.name)
            for pod in (old, new)
            if pod is not None
            for budget in self._budgets.lister.list(pod.metadata.namespace)
            if labels.from_label_selector(budget.spec.selector).matches(pod.metadata.labels)
        }

    def _owner_changed(self, old: Any, new: Any) -> Iterable[Key]:
        """A scaled owner: the count of its pods may stay the same for long."""
        if old is not None and new is not None and old.spec.replicas == new.spec.replicas:
            return ()
        listed = self._budgets.lister.list((new or old).metadata.namespace)
        return [Key(each.metadata.namespace, each.metadata.name) for each in listed if budgets.needs_scale(each)]

    async def reconcile(self, key: Key) -> float | None:
        """Counts and writes; what cannot be counted allows nothing."""
        budget = self._budgets.lister.get(*key)
        if budget is None:
            return None
        pods, now = self._selected(budget), self._tools.clock.time()
        if not pods:
            self._tools.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            scale = await self._scale(budget, pods) if budgets.needs_scale(budget) else 0
        except NoScale as error:
            why = f"Failed to calculate the number of expected pods: {error}"
            self._tools.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", why)
            await self._write(budget, budgets.failed(budget, str(error), now))
            return AGAIN_SECONDS
        gone = budgets.disrupted(budget, pods, now)
        for pod in gone.overdue:
            why = f"Pod was expected by PDB {key.namespace}/{key.name} to be deleted but it wasn't"
            self._tools.recorder.event(pod, "Warning", "NotDeleted", why)
        wanted = budgets.expected(budget, len(pods), scale)
        await self._write(budget, budgets.status(budget, pods, wanted, gone.waiting, now))
        return gone.recheck

    def _selected(self, budget: policy.PodDisruptionBudget) -> list[v1.Pod]:
        selector = labels.from_label_selector(budget.spec.selector)
        return [
            pod for pod in self._pods.lister.list(budget.metadata.namespace) if selector.matches(pod.metadata.labels)
        ]

    async def _scale(self, budget: policy.PodDisruptionBudget, pods: Sequence[v1.Pod]) -> int:
        """What the owners of all pods want together."""
        owners: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            found = await self._scales.of_pod(pod)
            if found is None:
                unmanaged = True
            else:
                owners[found[0]] = found[1]
        if unmanaged:
            text = _UNMANAGED.format(labels.from_label_selector(budget.spec.selector))
            self._tools.recorder.event(budget, "Warning", "UnmanagedPods", text)
        return sum(owners.values())

    async def _write(self, budget: policy.PodDisruptionBudget, status: policy.PodDisruptionBudgetStatus) -> None:
        if status == budget.status:
            return
        changed = msgspec.structs.replace(budget, status=status)
        try:
            await self._tools.api.of(policy.PodDisruptionBudget).update(changed, subresource="status")
        except ApiError as error:
            if error.code != 404:
                raise
