"""How many disruptions a PodDisruptionBudget allows now. Pure.

Source: https://kubernetes.io/docs/tasks/run-application/configure-pdb/ and upstream's disruption controller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.pods import conditions
from podkeeper.api.policy import v1 as policy
from podkeeper.controllers.pod_ranks import is_ready

#: Seconds that an evicted pod has until it counts again as one that runs: its deletion has failed.
DELETION_TIMEOUT = 120.0
CONDITION = "DisruptionAllowed"


class Expected(Struct, frozen=True):
    """``pods`` is how many there should be, ``healthy`` how many must not be missing."""

    pods: int
    healthy: int


def needs_scale(budget: policy.PodDisruptionBudget) -> bool:
    """Whether the budget is a share of what the pods' owners want, rather than a number."""
    return budget.spec.max_unavailable is not None or isinstance(budget.spec.min_available, str)


def expected(budget: policy.PodDisruptionBudget, pods: int, scale: int) -> Expected:
    """``pods`` match the budget, their owners want ``scale``."""
    spec = budget.spec
    if spec.max_unavailable is not None:
        return Expected(scale, max(0, scale - _scaled(spec.max_unavailable, scale)))
    if isinstance(spec.min_available, str):
        return Expected(scale, _scaled(spec.min_available, scale))
    return Expected(pods, spec.min_available or 0)


def _scaled(value: int | str, whole: int) -> int:
    """A number, or a percentage of ``whole`` rounded up."""
    return value if isinstance(value, int) else math.ceil(int(value.rstrip("%")) * whole / 100)


class Disrupted(Struct, frozen=True):
    """Evicted pods that have not begun to go; ``overdue`` never did. ``recheck`` is seconds until the next is."""

    waiting: Mapping[str, str]
    overdue: tuple[v1.Pod, ...]
    recheck: float | None


def disrupted(budget: policy.PodDisruptionBudget, pods: Sequence[v1.Pod], now: float) -> Disrupted:
    """What is left of the budget's note of evictions."""
    noted = budget.status.disrupted_pods if budget.status else {}
    waiting: dict[str, str] = {}
    overdue: list[v1.Pod] = []
    left: list[float] = []
    for pod in pods:
        moment = noted.get(pod.metadata.name)
        if moment is None or pod.metadata.deletion_timestamp:
            continue
        patience = timestamps.parse(moment) + DELETION_TIMEOUT - now
        if patience <= 0:
            overdue.append(pod)
        else:
            waiting[pod.metadata.name] = moment
            left.append(patience)
    return Disrupted(waiting, tuple(overdue), min(left, default=None))


def status(
    budget: policy.PodDisruptionBudget, pods: Sequence[v1.Pod], wanted: Expected, gone: Mapping[str, str], now: float
) -> policy.PodDisruptionBudgetStatus:
    """The status as it should be."""
    healthy = sum(
        is_ready(pod) and not pod.metadata.deletion_timestamp and pod.metadata.name not in gone for pod in pods
    )
    allowed = max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0
    condition = meta.Condition(
        type=CONDITION,
        status=conditions.TRUE if allowed else conditions.FALSE,
        reason="SufficientPods" if allowed else "InsufficientPods",
        observed_generation=budget.metadata.generation,
    )
    return policy.PodDisruptionBudgetStatus(
        observed_generation=budget.metadata.generation,
        disrupted_pods=gone,
        disruptions_allowed=allowed,
        current_healthy=healthy,
        desired_healthy=wanted.healthy,
        expected_pods=wanted.pods,
        conditions=conditions.with_condition(_present(budget), condition, timestamps.format_time(now)),
    )


def failed(budget: policy.PodDisruptionBudget, why: str, now: float) -> policy.PodDisruptionBudgetStatus:
    """The status of a budget that cannot be counted: nothing may be disrupted."""
    condition = meta.Condition(
        type=CONDITION,
        status=conditions.FALSE,
        reason="SyncFailed",
        message=why,
        observed_generation=budget.metadata.generation,
    )
    listed = conditions.with_condition(_present(budget), condition, timestamps.format_time(now))
    present = budget.status or policy.PodDisruptionBudgetStatus()
    return msgspec.structs.replace(present, disruptions_allowed=0, conditions=listed)


def _present(budget: policy.PodDisruptionBudget) -> tuple[meta.Condition, ...]:
    return budget.status.conditions if budget.status else ()
