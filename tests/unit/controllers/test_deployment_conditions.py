"""A deployment's conditions and counts as its replica sets change and time passes."""

from __future__ import annotations

import msgspec
import pytest

from podkeeper.api.apps import v1 as apps
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.deployment_status import deployment_status, seconds_to_deadline

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
    foreign = apps.DeploymentCondition(type="example.com/Approved", status="True", reason="Signed")
    asked = msgspec.structs.replace(asked, status=apps.DeploymentStatus(conditions=(foreign,)))
    assert foreign in step(asked, made(2, 2), 0).status.conditions


def test_what_hinders_a_replica_set_is_told_until_it_is_over() -> None:
    hindrance = apps.ReplicaSetCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="quota")
    new = made(1, 1)
    new = msgspec.structs.replace(new, status=msgspec.structs.replace(new.status, conditions=(hindrance,)))
    asked = step(deployment(), new, 0)
    assert told(asked, "ReplicaFailure") == ("True", "FailedCreate")
    asked = step(asked, made(2, 2), 1)
    assert [each.type for each in asked.status.conditions] == ["Available", "Progressing"]


def test_a_deployment_that_has_all_its_pods_stays_so_while_it_is_scaled() -> None:
    asked = step(deployment(), made(2, 2), 0)
    larger = msgspec.structs.replace(asked, spec=msgspec.structs.replace(asked.spec, replicas=4))
    assert told(step(larger, made(4, 2), 1), "Progressing") == ("True", "NewReplicaSetAvailable")
    assert told(step(asked, made(2, 1), 1), "Progressing") == ("True", "NewReplicaSetAvailable")


def test_pods_that_fail_are_no_progress() -> None:
    asked = step(step(deployment(), made(2, 0), 0), made(2, 1), 10)
    asked = step(asked, made(2, 0), 40)
    asked = step(asked, made(2, 0), 71)
    assert told(asked, "Progressing") == ("False", "ProgressDeadlineExceeded")


def test_a_pause_is_told_and_time_does_not_run_out_in_it() -> None:
    asked = step(deployment(), made(2, 0), 0)
    paused = msgspec.structs.replace(asked, spec=msgspec.structs.replace(asked.spec, paused=True))
    paused = step(paused, made(2, 0), 100)
    assert told(paused, "Progressing") == ("Unknown", "DeploymentPaused")
    assert seconds_to_deadline(paused.spec, paused.status, START + 100) is None
    resumed = msgspec.structs.replace(paused, spec=asked.spec)
    resumed = step(resumed, made(2, 0), 200)
    assert told(resumed, "Progressing") == ("Unknown", "DeploymentResumed")
    assert told(step(resumed, made(2, 2), 201), "Progressing") == ("True", "NewReplicaSetAvailable")


def test_somebody_looks_again_when_the_time_of_a_rollout_is_up() -> None:
    asked = step(deployment(), made(2, 0), 0)
    assert seconds_to_deadline(asked.spec, asked.status, START + 20) == 41
    late = step(asked, made(2, 0), 61)
    assert told(late, "Progressing")[1] == "ProgressDeadlineExceeded"
    assert seconds_to_deadline(late.spec, late.status, START + 61) is None
    assert seconds_to_deadline(asked.spec, step(asked, made(2, 2), 1).status, START + 1) is None


@pytest.mark.parametrize("deadline", [None, 2**31 - 1])
def test_without_a_deadline_progress_is_not_told(deadline: int | None) -> None:
    asked = step(deployment(deadline=deadline), made(2, 0), 0)
    assert [each.type for each in asked.status.conditions] == ["Available"]


def test_a_recreated_deployment_is_available_with_all_its_pods_alone() -> None:
    asked = deployment()
    strategy = apps.DeploymentStrategy(type="Recreate")
    asked = msgspec.structs.replace(asked, spec=msgspec.structs.replace(asked.spec, strategy=strategy))
    assert told(step(asked, made(2, 1), 0), "Available") == ("False", "MinimumReplicasUnavailable")
    assert told(step(asked, made(2, 2), 0), "Available") == ("True", "MinimumReplicasAvailable")
