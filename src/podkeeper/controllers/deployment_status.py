"""A Deployment's status: the sum of its replica sets', and the conditions that ``kubectl rollout status`` waits for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.apps import v1 as apps
from podkeeper.api.pods import conditions
from podkeeper.controllers import rollout

OWN = ("Available", "Progressing", "ReplicaFailure")
AVAILABLE, TIMED_OUT, PAUSED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused"
#: Written for: wait for ever. Source: the API reference of DeploymentSpec.
NO_DEADLINE = 2**31 - 1


def deployment_status(
    deployment: apps.Deployment, new: apps.ReplicaSet | None, sets: Sequence[apps.ReplicaSet], now: float
) -> apps.DeploymentStatus:
    """The status to be written; equal to the present one when there is no news."""
    total = sum(each.status.replicas for each in sets)
    available = sum(each.status.available_replicas or 0 for each in sets)
    status = msgspec.structs.replace(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=total or None,
        updated_replicas=(new.status.replicas if new else 0) or None,
        ready_replicas=sum(each.status.ready_replicas or 0 for each in sets) or None,
        available_replicas=available or None,
        unavailable_replicas=max(sum(map(rollout.size, sets)) - available, 0) or None,
        terminating_replicas=sum(each.status.terminating_replicas or 0 for each in sets),
    )
    found = [_available(deployment, available), _progressing(deployment, new, status, now), _failure(new, sets)]
    kept = [each for each in deployment.status.conditions if each.type not in OWN]
    stamped = [_stamped(deployment, each, now) for each in found if each is not None]
    return msgspec.structs.replace(status, conditions=(*kept, *stamped))


def seconds_to_deadline(spec: apps.DeploymentSpec, status: apps.DeploymentStatus, now: float) -> float | None:
    """When a rollout that makes no more progress has failed; None when none is under way."""
    present = conditions.find(status.conditions, "Progressing")
    if present is None or present.reason in (AVAILABLE, TIMED_OUT, PAUSED) or not _has_deadline(spec):
        return None
    return max(timestamps.parse(present.last_update_time) + (spec.progress_deadline_seconds or 0) + 1 - now, 1.0)


def _available(deployment: apps.Deployment, available: int) -> apps.DeploymentCondition:
    enough = available >= rollout.wanted(deployment) - rollout.bounds(deployment).unavailable
    return apps.DeploymentCondition(
        type="Available",
        status="True" if enough else "False",
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )


def _progressing(
    deployment: apps.Deployment, new: apps.ReplicaSet | None, status: apps.DeploymentStatus, now: float
) -> apps.DeploymentCondition | None:
    present = conditions.find(deployment.status.conditions, "Progressing")
    if not _has_deadline(deployment.spec):
        return None
    if deployment.spec.paused:
        timed_out = present is not None and present.reason == TIMED_OUT
        return present if timed_out else _progress("Unknown", PAUSED, "Deployment is paused")
    if present is not None and present.reason == PAUSED:
        return _progress("Unknown", "DeploymentResumed", "Deployment is resumed")
    if new is None:
        return present
    name, settled = new.metadata.name, status.replicas == status.updated_replicas
    if present is not None and present.reason == AVAILABLE and settled:
        return present  # nothing is rolled out: scaling and replacing lost pods are no rollouts
    if _complete(deployment, status):
        return _progress("True", AVAILABLE, f'ReplicaSet "{name}" has successfully progressed.')
    if present is None:
        return _progress("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    if _has_moved(deployment.status, status) or present.reason == AVAILABLE:
        return _progress("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
    deadline = deployment.spec.progress_deadline_seconds or 0
    if present.last_update_time and now > timestamps.parse(present.last_update_time) + deadline:
        return _progress("False", TIMED_OUT, f'ReplicaSet "{name}" has timed out progressing.')
    return present


def _has_deadline(spec: apps.DeploymentSpec) -> bool:
    return spec.progress_deadline_seconds not in (None, NO_DEADLINE)


def _failure(new: apps.ReplicaSet | None, sets: Sequence[apps.ReplicaSet]) -> apps.DeploymentCondition | None:
    """What keeps a replica set, the new one first, from making or removing pods."""
    for each in (*([new] if new else []), *sets):
        found = conditions.find(each.status.conditions, "ReplicaFailure")
        if found is not None:
            return apps.DeploymentCondition(
                type="ReplicaFailure", status=found.status, reason=found.reason, message=found.message
            )
    return None


def _complete(deployment: apps.Deployment, status: apps.DeploymentStatus) -> bool:
    total = rollout.wanted(deployment)
    counts = (status.updated_replicas or 0, status.replicas or 0, status.available_replicas or 0)
    return counts == (total, total, total)


def _has_moved(before: apps.DeploymentStatus, now: apps.DeploymentStatus) -> bool:
    """Progress is more of the new, fewer of the old, more that are ready or available; pods that fail are none."""

    def old(status: apps.DeploymentStatus) -> int:
        return (status.replicas or 0) - (status.updated_replicas or 0)

    return (
        (now.updated_replicas or 0) > (before.updated_replicas or 0)
        or old(now) < old(before)
        or (now.ready_replicas or 0) > (before.ready_replicas or 0)
        or (now.available_replicas or 0) > (before.available_replicas or 0)
    )


def _progress(status: str, reason: str, message: str) -> apps.DeploymentCondition:
    return apps.DeploymentCondition(type="Progressing", status=status, reason=reason, message=message)


def _stamped(deployment: apps.Deployment, new: apps.DeploymentCondition, now: float) -> apps.DeploymentCondition:
    """Times as upstream: an unchanged condition keeps its own, a change of reason alone keeps the transition's."""
    present = conditions.find(deployment.status.conditions, new.type)
    if present is None:
        text = timestamps.format_time(now)
        return msgspec.structs.replace(new, last_update_time=text, last_transition_time=text)
    if (present.status, present.reason, present.message) == (new.status, new.reason, new.message):
        return present
    text = timestamps.format_time(now)
    since = present.last_transition_time if present.status == new.status else text
    return msgspec.structs.replace(new, last_update_time=text, last_transition_time=since)
