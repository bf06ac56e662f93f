"""Pods that were to be disrupted and were not: after two minutes their condition says so no longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.pods import conditions
from podkeeper.api.pods.phase import is_terminal
from podkeeper.controllers.framework import Key, Tools, Watch, own_key

CONDITION = "DisruptionTarget"
STALE_AFTER = 120.0


class StaleDisruptions:
    """Keys are pods. Whoever disrupts a pod sets the condition first; the deletion after it may have failed."""

    name = "disruption-controller"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._pods = tools.informer(v1.Pod)

    def watches(self) -> Sequence[Watch[Any]]:
        """Pods with the condition."""
        return (Watch(self._pods, lambda old, new: own_key(old, new) if new and stale_in(new, 0) is not None else ()),)

    async def reconcile(self, key: Key) -> float | None:
        """Takes the condition back, or waits until it is time."""
        pod, now = self._pods.lister.get(*key), self._tools.clock.time()
        left = stale_in(pod, now) if pod else None
        if pod is None or left is None:
            return None
        if left > 0:
            return left
        taken_back = v1.PodCondition(type=CONDITION, status=conditions.FALSE)
        listed = conditions.with_condition(pod.status.conditions, taken_back, timestamps.format_time(now))
        changed = msgspec.structs.replace(pod, status=msgspec.structs.replace(pod.status, conditions=listed))
        try:
            await self._tools.api.of(v1.Pod).update(changed, subresource="status")
        except ApiError as error:
            if error.code != 404:
                raise
        return None


def stale_in(pod: v1.Pod, now: float) -> float | None:
    """Seconds until the condition is stale, 0 or less when it is; None for a pod without it or on its way out."""
    found = conditions.find(pod.status.conditions if pod.status else (), CONDITION)
    if found is None or found.status != conditions.TRUE or pod.metadata.deletion_timestamp or is_terminal(pod):
        return None
    return timestamps.parse(found.last_transition_time) + STALE_AFTER - now if found.last_transition_time else 0.0
