"""A replica count that changes in the middle of a rollout, by upstream's example and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.apps import v1 as apps
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.scaling import DESIRED, MAXIMUM, is_scaling, notes, plan_scaling


def deployment(replicas: int, surge: int = 0, unavailable: int = 1, kind: str = "RollingUpdate") -> apps.Deployment:
    rolling = apps.RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    strategy = apps.DeploymentStrategy(type=kind, rolling_update=rolling if kind == "RollingUpdate" else None)
    return apps.Deployment(spec=apps.DeploymentSpec(replicas=replicas, strategy=strategy))


def sized(name: str, count: int, before: apps.Deployment, available: int | None = None) -> apps.ReplicaSet:
    """A set that got its size when the deployment was as ``before``; names sort as ages do."""
    created = f"2026-01-01T00:00:{ord(name) - ord('a'):02}Z"
    return apps.ReplicaSet(
        metadata=meta.ObjectMeta(name=name, creation_timestamp=created, annotations=notes(before)),
        spec=apps.ReplicaSetSpec(replicas=count),
        status=apps.ReplicaSetStatus(replicas=count, available_replicas=count if available is None else available),
    )


def test_the_documented_example() -> None:
    """10 replicas, surge 3, unavailable 2: stuck at 8 old and 5 new ones; 5 more make it 11 and 7 (documentation)."""
    before, after = deployment(10, 3, 2), deployment(15, 3, 2)
    old, new = sized("a", 8, before), sized("b", 5, before, available=0)
    assert plan_scaling(after, new, [old]) == {"a": 11, "b": 7}


@pytest.mark.parametrize(
    ("before", "after", "sizes", "expected"),
    [
        (10, 20, {"a": 5, "b": 5}, {"a": 10, "b": 10}),
        (10, 5, {"a": 7, "b": 3}, {"a": 3, "b": 2}),  # 3.5 rounds up to 4, 1.5 to 2: the largest gives what is too much
        (10, 0, {"a": 7, "b": 3}, {"a": 0, "b": 0}),
        (10, 11, {"a": 5, "b": 5}, {"a": 5, "b": 6}),  # of equals the newer grows
        (10, 9, {"a": 5, "b": 5}, {"a": 4, "b": 5}),  # and the older shrinks
        (10, 10, {"a": 6, "b": 4}, {"a": 6, "b": 4}),
    ],
)
def test_shares(before: int, after: int, sizes: dict[str, int], expected: dict[str, int]) -> None:
    old, new = (sized(name, count, deployment(before), available=0) for name, count in sizes.items())
    assert plan_scaling(deployment(after), new, [old]) == expected


def test_one_set_in_use_gets_everything() -> None:
    before = deployment(3)
    assert plan_scaling(deployment(7), sized("b", 0, before), [sized("a", 3, before)]) == {"a": 7}
    assert plan_scaling(deployment(7), sized("b", 0, before), [sized("a", 0, before)]) == {"b": 7}
    assert plan_scaling(deployment(7), None, [sized("a", 0, before), sized("b", 0, before)]) == {"b": 7}


def test_old_sets_end_when_the_new_one_has_all() -> None:
    now = deployment(3)
    assert plan_scaling(now, sized("c", 3, now), [sized("a", 1, now), sized("b", 0, now)]) == {"a": 0}


def test_a_recreate_rollout_does_not_scale_in_proportion() -> None:
    before = deployment(4, kind="Recreate")
    sets = sized("b", 2, before, 0), [sized("a", 2, before)]
    assert plan_scaling(deployment(8, kind="Recreate"), *sets) == {"a": 2, "b": 2}


def test_what_counts_as_scaling() -> None:
    before = deployment(3)
    assert is_scaling(deployment(4), [sized("a", 3, before)])
    assert not is_scaling(deployment(3), [sized("a", 1, before)])
    assert not is_scaling(deployment(4), [sized("a", 0, before)])
    assert set(notes(deployment(3, 2))) == {DESIRED, MAXIMUM}
    assert notes(deployment(3, 2))[MAXIMUM] == "5"


@settings(max_examples=200)
@given(
    after=st.integers(0, 80),
    surge=st.integers(1, 10),
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5),
)
def test_shares_add_up_to_what_is_allowed(after: int, surge: int, sizes: list[int]) -> None:
    before = deployment(max(1, sum(sizes) - surge), surge)
    sets = [sized(chr(ord("a") + place), count, before, available=0) for place, count in enumerate(sizes)]
    planned = plan_scaling(deployment(after, surge), sets[-1], sets[:-1])
    allowed = after + surge if after else 0
    assert min(planned.values()) >= 0
    # What rounding leaves is taken from one set alone, and that has no more than it has.
    assert sum(planned.values()) == allowed or (sum(planned.values()) > allowed and not all(planned.values()))
