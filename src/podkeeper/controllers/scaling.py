"""A Deployment's replica count changes while a rollout is under way or paused: every set in use gets its share.

How large the whole was when a set got its size is noted on the set; a difference to what is wanted is a scaling, and
comes before the rollout goes on. Pure arithmetic.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from podkeeper.api.apps import v1 as apps
from podkeeper.controllers.rollout import bounds, size, wanted

DESIRED, MAXIMUM = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"


def notes(deployment: apps.Deployment) -> dict[str, str]:
    """The annotations of a set that gets its size now."""
    return {DESIRED: str(wanted(deployment)), MAXIMUM: str(_allowed(deployment))}


def is_scaling(deployment: apps.Deployment, sets: Sequence[apps.ReplicaSet]) -> bool:
    """Whether a set in use has its size from another count than is wanted now."""
    noted = (_noted(each, DESIRED) for each in sets if size(each))
    return any(count is not None and count != wanted(deployment) for count in noted)


def plan_scaling(
    deployment: apps.Deployment, new: apps.ReplicaSet | None, old: Sequence[apps.ReplicaSet]
) -> Mapping[str, int]:
    """The size of every set that is concerned, by name, also of those that keep theirs: their notes change."""
    everything = [*old, *([new] if new else [])]
    active = [each for each in everything if size(each)]
    if len(active) <= 1:
        only = active or ([new] if new else sorted(old, key=_created)[-1:])
        return {each.metadata.name: wanted(deployment) for each in only}
    if new is not None and _is_saturated(deployment, new):
        return {each.metadata.name: 0 for each in active if each is not new}
    if deployment.spec.strategy.type == "Recreate":
        return {each.metadata.name: size(each) for each in active}  # its rollout knows no shares
    return _shares(deployment, active)


def _shares(deployment: apps.Deployment, active: Sequence[apps.ReplicaSet]) -> Mapping[str, int]:
    """Shares in proportion to size; the largest set gets what rounding leaves, of equals the newer one when growing."""
    total = _allowed(deployment) if wanted(deployment) else 0
    change = total - sum(map(size, active))
    ordered = sorted(active, key=_created, reverse=change > 0)
    ordered.sort(key=size, reverse=True)
    sizes: dict[str, int] = {}
    given = 0
    for each in ordered:
        share = _share(deployment, each)
        share = min(share, change - given) if change > 0 else max(share, change - given)
        sizes[each.metadata.name] = size(each) + (share if change else 0)
        given += share if change else 0
    largest = ordered[0].metadata.name
    sizes[largest] = max(0, sizes[largest] + change - given)
    return sizes


def _share(deployment: apps.Deployment, each: apps.ReplicaSet) -> int:
    if not wanted(deployment):
        return -size(each)
    before = _noted(each, MAXIMUM) or deployment.status.replicas or 0
    if not before:
        return 0
    return math.floor(size(each) * _allowed(deployment) / before + 0.5) - size(each)


def _is_saturated(deployment: apps.Deployment, new: apps.ReplicaSet) -> bool:
    total = wanted(deployment)
    return _noted(new, DESIRED) == total == size(new) == (new.status.available_replicas or 0)


def _allowed(deployment: apps.Deployment) -> int:
    return wanted(deployment) + bounds(deployment).surge


def _noted(each: apps.ReplicaSet, annotation: str) -> int | None:
    text = each.metadata.annotations.get(annotation, "")
    return int(text) if text.isdigit() else None


def _created(each: apps.ReplicaSet) -> str:
    return each.metadata.creation_timestamp
