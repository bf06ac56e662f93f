"""Tolerations: which taints of a node a pod puts up with, and for how long.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podkeeper.api.core import v1

NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "PreferNoSchedule", "NoExecute"
SCHEDULING_EFFECTS = (NO_SCHEDULE, NO_EXECUTE)


def tolerates(toleration: v1.Toleration, taint: v1.Taint) -> bool:
    """Whether the toleration covers the taint; an empty key or effect covers all of them."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator in ("", "Equal"):
        return toleration.value == taint.value
    return toleration.operator == "Exists"


def untolerated(
    taints: Iterable[v1.Taint], tolerations: Sequence[v1.Toleration], effects: Collection[str] = SCHEDULING_EFFECTS
) -> v1.Taint | None:
    """The first taint of these effects that no toleration covers; None when the pod may be there."""
    for taint in taints:
        if taint.effect in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None


def seconds_to_stay(taints: Iterable[v1.Taint], tolerations: Sequence[v1.Toleration]) -> float | None:
    """How long a pod may stay under the node's NoExecute taints: 0 when one is not tolerated, None for ever."""
    least: float | None = None
    for taint in taints:
        if taint.effect != NO_EXECUTE:
            continue
        covering = [each for each in tolerations if tolerates(each, taint)]
        if not covering:
            return 0
        for each in covering:
            if each.toleration_seconds is not None:
                seconds = max(0, each.toleration_seconds)
                least = seconds if least is None else min(least, seconds)
    return least


def merged(tolerations: Sequence[v1.Toleration], more: Iterable[v1.Toleration]) -> tuple[v1.Toleration, ...]:
    """Both lists together, without those of the second that one of the first covers entirely."""
    added = [each for each in more if not any(_covers(other, each) for other in tolerations)]
    return (*tolerations, *added)


def _covers(wide: v1.Toleration, narrow: v1.Toleration) -> bool:
    if wide.key != narrow.key and (wide.key or wide.operator != "Exists"):
        return False
    if wide.effect and wide.effect != narrow.effect:
        return False
    if wide.toleration_seconds is not None and (
        narrow.toleration_seconds is None or narrow.toleration_seconds > wide.toleration_seconds
    ):
        return False
    return wide.operator == "Exists" or (wide.value == narrow.value and narrow.operator != "Exists")
