"""How a Deployment moves from one template to another: pure arithmetic over counts and replica sets.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from podkeeper.api import codec
from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.names import SUFFIX_ALPHABET

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Bounds(Struct, frozen=True):
    """How many pods there may be above and below what is wanted during a rollout."""

    surge: int
    unavailable: int


def bounds(deployment: apps.Deployment) -> Bounds:
    """The strategy's bounds as counts: surge rounds up, unavailable down, not both 0 unless none is wanted."""
    if deployment.spec.strategy.type == "Recreate":
        return Bounds(0, 0)
    rolling = deployment.spec.strategy.rolling_update or apps.RollingUpdateDeployment()
    surge = _count(rolling.max_surge, wanted(deployment), math.ceil)
    unavailable = _count(rolling.max_unavailable, wanted(deployment), math.floor)
    return Bounds(surge, min(unavailable if surge or unavailable else 1, wanted(deployment)))


def wanted(deployment: apps.Deployment) -> int:
    """The number of pods the deployment asks for."""
    return 1 if deployment.spec.replicas is None else deployment.spec.replicas


def size(replica_set: apps.ReplicaSet) -> int:
    """The number of pods a replica set asks for."""
    return replica_set.spec.replicas or 0


def template_hash(template: v1.PodTemplateSpec, collisions: int) -> str:
    """A short name for a template; ``collisions`` gives another one when the first is taken by a different template."""
    digest = hashlib.sha256(codec.encode(template) + str(collisions).encode()).digest()
    return "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in digest[:10])


def same_template(deployment: apps.Deployment, replica_set: apps.ReplicaSet) -> bool:
    """Whether the set is of the deployment's present template, its hash label aside."""
    return _bare(deployment.spec.template) == _bare(replica_set.spec.template)


def _bare(template: v1.PodTemplateSpec) -> v1.PodTemplateSpec:
    labels = {key: value for key, value in template.metadata.labels.items() if key != HASH_LABEL}
    return msgspec.structs.replace(template, metadata=msgspec.structs.replace(template.metadata, labels=labels))


def plan_sizes(deployment: apps.Deployment, new: apps.ReplicaSet, old: Sequence[apps.ReplicaSet]) -> Mapping[str, int]:
    """The sizes that sets should have next, by name; sets that stay as they are are left out."""
    if deployment.spec.strategy.type == "Recreate":
        return _recreate(deployment, new, old)
    total, limit = wanted(deployment), bounds(deployment)
    sizes: dict[str, int] = {}
    everything = size(new) + sum(map(size, old))
    if size(new) > total:
        sizes[new.metadata.name] = total
    elif size(new) < total and (room := total + limit.surge - everything) > 0:
        sizes[new.metadata.name] = min(total, size(new) + room)
    sizes.update(_shrink(deployment, new, old))
    return {name: count for name, count in sizes.items() if count != _size_of(name, new, old)}


def _shrink(deployment: apps.Deployment, new: apps.ReplicaSet, old: Sequence[apps.ReplicaSet]) -> Mapping[str, int]:
    """Old sets give up what is not needed for the least availability, unhealthy pods first."""
    least = wanted(deployment) - bounds(deployment).unavailable
    budget = sum(map(size, old)) + _available(new) - least
    sizes: dict[str, int] = {}
    oldest_first = sorted(old, key=lambda one: one.metadata.creation_timestamp)
    for each in oldest_first:
        taken = min(size(each) - _available(each), max(budget, 0))
        if taken:
            sizes[each.metadata.name] = size(each) - taken
            budget -= taken
    spare = sum(map(_available, (new, *old))) - least
    for each in oldest_first:
        taken = min(_available(each), max(spare, 0))
        if taken:
            sizes[each.metadata.name] = sizes.get(each.metadata.name, size(each)) - taken
            spare -= taken
    return sizes


def _available(each: apps.ReplicaSet) -> int:
    """The set's available pods; its status may not show yet that it was made smaller."""
    return min(each.status.available_replicas or 0, size(each))


def _recreate(deployment: apps.Deployment, new: apps.ReplicaSet, old: Sequence[apps.ReplicaSet]) -> Mapping[str, int]:
    shrinking = {each.metadata.name: 0 for each in old if size(each)}
    if shrinking:
        return shrinking
    remaining = any(each.status.replicas or each.status.terminating_replicas for each in old)
    if remaining or size(new) == wanted(deployment):
        return {}
    return {new.metadata.name: wanted(deployment)}


def _size_of(name: str, new: apps.ReplicaSet, old: Sequence[apps.ReplicaSet]) -> int:
    return next(size(each) for each in (new, *old) if each.metadata.name == name)


def _count(value: int | str | None, total: int, rounding: object) -> int:
    if value is None:
        value = "25%"
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total / 100
    return math.ceil(exact) if rounding is math.ceil else math.floor(exact)
