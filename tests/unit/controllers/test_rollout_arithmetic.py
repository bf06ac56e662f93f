"""The steps of a rollout, as properties over counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers import rollout


def deployment(replicas: int | None, surge: Any = None, unavailable: Any = None) -> apps.Deployment:
    rolling = apps.RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    strategy = apps.DeploymentStrategy(type="RollingUpdate", rolling_update=rolling)
    return apps.Deployment(spec=apps.DeploymentSpec(replicas=replicas, strategy=strategy))


def sized(name: str, count: int, available: int, created: str = "2026-01-01T00:00:00Z") -> apps.ReplicaSet:
    return apps.ReplicaSet(
        metadata=meta.ObjectMeta(name=name, uid=name, creation_timestamp=created),
        spec=apps.ReplicaSetSpec(replicas=count),
        status=apps.ReplicaSetStatus(replicas=count, available_replicas=available),
    )


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, None, None, (1, 1)),
        (10, "25%", "25%", (3, 2)),  # surge rounds up, unavailable down
        (2, "25%", "25%", (1, 0)),
        (3, 0, "10%", (0, 1)),  # never both 0
        (3, 2, 0, (2, 0)),
        (7, "100%", "50%", (7, 3)),
    ],
)
def test_percentages_round_in_favour_of_availability(
    replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]
) -> None:
    found = rollout.bounds(deployment(replicas, surge, unavailable))
    assert (found.surge, found.unavailable) == expected


def test_one_replica_is_wanted_unless_said_otherwise() -> None:
    assert (rollout.wanted(deployment(None)), rollout.wanted(deployment(0))) == (1, 0)


def test_the_names_of_templates_differ_by_template_and_by_collision() -> None:
    one = v1.PodTemplateSpec(metadata=meta.ObjectMeta(labels={"a": "b"}))
    other = v1.PodTemplateSpec(metadata=meta.ObjectMeta(labels={"a": "c"}))
    found = [rollout.template_hash(one, 0), rollout.template_hash(one, 1), rollout.template_hash(other, 0)]
    assert len(set(found)) == 3
    assert rollout.template_hash(one, 0) == found[0]


counts = st.integers(0, 8)


@st.composite
def states(draw: st.DrawFn) -> tuple[apps.Deployment, apps.ReplicaSet, list[apps.ReplicaSet]]:
    """What a rollout can meet: nothing above the bounds, and statuses that lag behind a set's smaller size."""
    asked = deployment(draw(st.integers(0, 8)), draw(counts), draw(counts))
    room = rollout.wanted(asked) + rollout.bounds(asked).surge
    sets = []
    for number in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, room))
        room -= count
        created = f"2026-01-01T00:00:0{number}Z"
        sets.append(sized(f"s{number}", count, draw(st.integers(0, count + 3)), created))
    return asked, sets[-1], sets[:-1]


def available(each: apps.ReplicaSet) -> int:
    """How many of a set's pods are available, and will be when the set has its size."""
    return min(each.status.available_replicas or 0, rollout.size(each))


def applied(sizes: Any, each: apps.ReplicaSet) -> apps.ReplicaSet:
    """The set at its new size; pods that are not available go first."""
    count = sizes.get(each.metadata.name, rollout.size(each))
    available = min(each.status.available_replicas or 0, count)
    return sized(each.metadata.name, count, available, each.metadata.creation_timestamp)


@settings(max_examples=300)
@given(states())
def test_a_step_stays_within_the_bounds(state: Any) -> None:
    asked, new, old = state
    limit, total = rollout.bounds(asked), rollout.wanted(asked)
    sizes = rollout.plan_sizes(asked, new, old)
    after = [applied(sizes, each) for each in (new, *old)]
    assert all(count >= 0 for count in sizes.values())
    assert sum(map(rollout.size, after)) <= max(total + limit.surge, sum(map(rollout.size, (new, *old))))
    before, left = sum(map(available, (new, *old))), sum(map(available, after))
    assert left >= min(before, total - limit.unavailable)


@settings(max_examples=300)
@given(states())
def test_a_rollout_whose_pods_come_up_always_ends(state: Any) -> None:
    asked, new, old = state
    total = rollout.wanted(asked)
    for _ in range(100):
        sizes = rollout.plan_sizes(asked, new, old)
        ready = [applied(sizes, each) for each in (new, *old)]
        new, *old = [sized(e.metadata.name, rollout.size(e), rollout.size(e)) for e in ready]
        if rollout.size(new) == total and not any(map(rollout.size, old)):
            return
    raise AssertionError(f"stays at {rollout.size(new)} new and {list(map(rollout.size, old))} old of {total}")


def test_recreating_waits_for_the_end_of_the_old() -> None:
    asked = msgspec.structs.replace(deployment(3))
    spec = msgspec.structs.replace(asked.spec, strategy=apps.DeploymentStrategy(type="Recreate"))
    asked = msgspec.structs.replace(asked, spec=spec)
    assert rollout.plan_sizes(asked, sized("new", 0, 0), [sized("old", 3, 3)]) == {"old": 0}
    going = sized("old", 0, 0)
    status = msgspec.structs.replace(going.status, terminating_replicas=1)
    assert rollout.plan_sizes(asked, sized("new", 0, 0), [msgspec.structs.replace(going, status=status)]) == {}
    assert rollout.plan_sizes(asked, sized("new", 0, 0), [going]) == {"new": 3}


def test_old_pods_that_are_not_available_wait_for_new_ones_that_are_not_either() -> None:
    asked = deployment(2, 1, 0)
    assert rollout.plan_sizes(asked, sized("new", 1, 0), [sized("old", 2, 0)]) == {}
    assert rollout.plan_sizes(asked, sized("new", 1, 1), [sized("old", 2, 0)]) == {"old": 1}


def test_a_status_that_lags_behind_costs_no_available_pods() -> None:
    """Ten are wanted, eight at least; the old set was just told to go to eight, and its status still says ten."""
    asked = deployment(10, 3, 2)
    assert rollout.plan_sizes(asked, sized("new", 5, 0), [sized("old", 8, 10)]) == {}
