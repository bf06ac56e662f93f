"""Which pods of a set count, and which go first when there are too many of them; upstream's order.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset. Ages are
compared by their logarithm, and by chance (the UID) within one: the youngest pods of a set are too often in one place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.api.pods.phase import is_terminal

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NANOSECONDS = 1e9


def is_active(pod: v1.Pod) -> bool:
    """Whether the pod counts: not over and not going."""
    return not is_terminal(pod) and not pod.metadata.deletion_timestamp


def is_ready(pod: v1.Pod) -> bool:
    """Whether the pod's Ready condition holds."""
    return conditions.is_true(pod.status.conditions if pod.status else (), "Ready")


def available_in(pod: v1.Pod, min_ready_seconds: int, now: float) -> float:
    """Seconds until a ready pod counts as available; 0 or less when it does."""
    ready = conditions.find(pod.status.conditions, "Ready")
    if not min_ready_seconds or ready is None or not ready.last_transition_time:
        return 0.0
    return timestamps.parse(ready.last_transition_time) + min_ready_seconds - now


def removal_order(pods: Sequence[v1.Pod], crowding: Mapping[str, int], now: float) -> list[v1.Pod]:
    """Which pods go first: without a node, pending, not ready, cheap, on crowded nodes, young. ``crowding`` is how
    many related pods a node has; ``now`` in seconds since the epoch."""

    def compare(one: v1.Pod, other: v1.Pod) -> int:
        return (
            _difference(_rank(one, crowding), _rank(other, crowding))
            or _younger(_ready_since(one), _ready_since(other), one, other, now)
            or _difference(_restarts(other), _restarts(one))
            or _younger(_created(one), _created(other), one, other, now)
        )

    return sorted(pods, key=cmp_to_key(compare))


def _rank(pod: v1.Pod, crowding: Mapping[str, int]) -> tuple[Any, ...]:
    """What comes before ages."""
    return (
        bool(pod.spec.node_name),
        {"Pending": 0, "Unknown": 1}.get(pod.status.phase, 2),
        is_ready(pod),
        _cost(pod),
        -crowding.get(pod.spec.node_name, 0),
    )


def _younger(one_since: float, other_since: float, one: v1.Pod, other: v1.Pod, now: float) -> int:
    """Negative when ``one`` is younger by an order of magnitude, or of the same one and first by its UID."""
    if one_since == other_since:
        return 0
    return _difference(_magnitude(now - one_since), _magnitude(now - other_since)) or _difference(
        one.metadata.uid, other.metadata.uid
    )


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds * _NANOSECONDS)) if seconds > 0 else -1


def _difference(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _ready_since(pod: v1.Pod) -> float:
    ready = conditions.find(pod.status.conditions, "Ready") if is_ready(pod) else None
    return timestamps.parse(ready.last_transition_time) if ready and ready.last_transition_time else 0.0


def _created(pod: v1.Pod) -> float:
    return timestamps.parse(pod.metadata.creation_timestamp)


def _restarts(pod: v1.Pod) -> int:
    return max((each.restart_count for each in pod.status.container_statuses), default=0)


def _cost(pod: v1.Pod) -> int:
    try:
        return int(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0
