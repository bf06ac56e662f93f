"""A Deployment's status: the sum of its replica sets', and the conditions that ``kubectl rollout status`` waits for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.apps import v1 as apps
from podkeeper.api.pods import conditions
from podkeeper.controllers import rollout

DEFAULT_DEADLINE = 600


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
    found = [_available(deployment, available)]
    progress = _progressing(deployment, new, status, now)
    found += [progress] if progress else []
    kept = [each for each in deployment.status.conditions if each.type not in ("Available", "Progressing")]
    stamped = [_stamped(deployment, each, now) for each in found]
    return msgspec.structs.replace(status, conditions=(*kept, *stamped))


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
    if deployment.spec.paused or new is None:
        return present
    name = new.metadata.name
    if _complete(deployment, status):
        return _progress("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
    moved = _counts(status) != _counts(deployment.status)
    if present is None:
        return _progress("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    if moved or present.reason == "NewReplicaSetAvailable":
        return _progress("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
    deadline = deployment.spec.progress_deadline_seconds or DEFAULT_DEADLINE
    if present.last_update_time and now > timestamps.parse(present.last_update_time) + deadline:
        return _progress("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
    return present


def _complete(deployment: apps.Deployment, status: apps.DeploymentStatus) -> bool:
    total = rollout.wanted(deployment)
    counts = (status.updated_replicas or 0, status.replicas or 0, status.available_replicas or 0)
    return counts == (total, total, total)


def _counts(status: apps.DeploymentStatus) -> tuple[int | None, ...]:
    return (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)


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
