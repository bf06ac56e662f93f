"""A deployment's conditions and counts as its replica sets change and time passes."""

from __future__ import annotations

import msgspec

from podkeeper.api.apps import v1 as apps
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.deployment_status import deployment_status

START = 1_700_000_000.0


def deployment(replicas: int = 2, deadline: int | None = 60) -> apps.Deployment:
    spec = apps.DeploymentSpec(replicas=replicas, progress_deadline_seconds=deadline)
    return apps.Deployment(metadata=meta.ObjectMeta(name="web", generation=3), spec=spec)


def made(replicas: int, available: int) -> apps.ReplicaSet:
    return apps.ReplicaSet(
        metadata=meta.ObjectMeta(name="web-1"),
        spec=apps.ReplicaSetSpec(replicas=2),
        status=apps.ReplicaSetStatus(replicas=replicas, ready_replicas=available, available_replicas=available),
    )


def step(asked: apps.Deployment, new: apps.ReplicaSet | None, seconds: float) -> apps.Deployment:
    sets = [new] if new else []
    return msgspec.structs.replace(asked, status=deployment_status(asked, new, sets, START + seconds))


def told(asked: apps.Deployment, kind: str) -> tuple[str, str]:
    [found] = [each for each in asked.status.conditions if each.type == kind]
    return found.status, found.reason


def test_a_rollout_from_its_first_set_to_its_end() -> None:
    asked = step(deployment(), made(0, 0), 0)
    assert told(asked, "Progressing") == ("True", "NewReplicaSetCreated")
    assert told(asked, "Available") == ("False", "MinimumReplicasUnavailable")
    asked = step(asked, made(2, 1), 1)
    assert told(asked, "Progressing") == ("True", "ReplicaSetUpdated")
    asked = step(asked, made(2, 2), 2)
    assert told(asked, "Progressing") == ("True", "NewReplicaSetAvailable")
    assert told(asked, "Available") == ("True", "MinimumReplicasAvailable")
    status = asked.status
    assert (status.observed_generation, status.replicas, status.updated_replicas) == (3, 2, 2)
    assert (status.ready_replicas, status.available_replicas, status.unavailable_replicas) == (2, 2, None)


def test_no_progress_until_the_deadline_is_a_failure_and_progress_mends_it() -> None:
    asked = step(deployment(), made(2, 0), 0)
    asked = step(asked, made(2, 0), 60)
    assert told(asked, "Progressing")[0] == "True"
    asked = step(asked, made(2, 0), 61)
    assert told(asked, "Progressing") == ("False", "ProgressDeadlineExceeded")
    asked = step(asked, made(2, 1), 62)
    assert told(asked, "Progressing") == ("True", "ReplicaSetUpdated")


def test_without_news_nothing_is_written() -> None:
    asked = step(deployment(), made(2, 2), 0)
    assert step(asked, made(2, 2), 30).status == asked.status


def test_a_change_of_reason_alone_keeps_the_time_of_transition() -> None:
    first = step(deployment(), made(1, 0), 0)
    second = step(first, made(2, 0), 5)
    [before] = [each for each in first.status.conditions if each.type == "Progressing"]
    [after] = [each for each in second.status.conditions if each.type == "Progressing"]
    assert after.last_transition_time == before.last_transition_time
    assert after.last_update_time > before.last_update_time


def test_conditions_of_others_are_kept() -> None:
    asked = deployment()
    foreign = apps.DeploymentCondition(type="ReplicaFailure", status="True", reason="FailedCreate")
    asked = msgspec.structs.replace(asked, status=apps.DeploymentStatus(conditions=(foreign,)))
    assert foreign in step(asked, made(2, 2), 0).status.conditions
