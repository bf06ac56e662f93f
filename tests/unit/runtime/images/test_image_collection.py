"""Which images are collected: thresholds, order, sharing, and what never goes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.images.collection import (
    STEP_LIFETIME,
    Candidate,
    Thresholds,
    expired_steps,
    plan,
    steps_of,
)


def image(name: str, used_at: int, *layers: int, step: bool = False, kept: bool = False) -> Candidate:
    return Candidate(name, used_at, frozenset(layers), step, kept)


def test_thresholds_are_percent_of_the_file_system() -> None:
    thresholds = Thresholds(high=85, low=80)
    assert thresholds.to_free(1000, 200) == 0
    assert thresholds.to_free(1000, 160) == 0
    assert thresholds.to_free(1000, 150) == 50
    assert thresholds.to_free(1000, 0) == 200
    assert thresholds.to_free(0, 0) == 0


def test_the_longest_unused_goes_first_until_enough_is_free() -> None:
    images = [image("new", 30, 1), image("old", 10, 2), image("middle", 20, 3)]
    sizes = {1: 100, 2: 100, 3: 100}
    assert plan(images, sizes, 1, 100) == ["old"]
    assert plan(images, sizes, 101, 100) == ["old", "middle"]
    assert plan(images, sizes, 10_000, 100) == ["old", "middle", "new"]
    assert plan(images, sizes, 0, 100) == []


def test_what_is_in_use_pinned_or_recent_stays() -> None:
    images = [image("used", 1, 1, kept=True), image("recent", 100, 2), image("idle", 50, 3)]
    assert plan(images, {1: 9, 2: 9, 3: 9}, 1000, 100) == ["idle"]


def test_shared_layers_free_nothing_until_the_last_holder_goes() -> None:
    images = [image("a", 1, 1, 2), image("b", 2, 1, 3), image("c", 3, 1)]
    sizes = {1: 1000, 2: 10, 3: 10}
    assert plan(images, sizes, 10, 100) == ["a"]
    assert plan(images, sizes, 21, 100) == ["a", "b", "c"]


def test_the_steps_of_a_build_go_with_its_image() -> None:
    images = [image("app", 1, 1, 2, 3), image("s1", 1, 1, step=True), image("s2", 1, 1, 2, step=True)]
    assert set(plan(images, {1: 5, 2: 5, 3: 5}, 12, 100)) == {"app", "s1", "s2"}
    shared = [*images, image("other", 90, 1, 9, kept=True)]
    assert set(plan(shared, {1: 5, 2: 5, 3: 5, 9: 5}, 100, 100)) == {"app", "s2"}


def test_steps_that_no_image_has_expire() -> None:
    images = [image("app", 1, 1), image("mine", 1, 1, step=True), image("tools", 1, 7, step=True)]
    assert [step.id for step in expired_steps(images, 2 + STEP_LIFETIME)] == ["tools"]
    assert expired_steps(images, STEP_LIFETIME) == []
    assert steps_of(frozenset((1, 2)), images[1:]) == [images[1]]


_candidates = st.lists(
    st.builds(
        Candidate,
        id=st.uuids().map(str),
        used_at=st.integers(0, 100),
        layers=st.frozensets(st.integers(1, 8), max_size=5),
        step=st.booleans(),
        kept=st.booleans(),
    ),
    max_size=10,
)


@settings(max_examples=200, deadline=None)
@given(_candidates, st.integers(0, 5000), st.integers(0, 100))
def test_a_plan_frees_enough_or_takes_all_that_it_may(candidates: list[Candidate], wanted: int, oldest: int) -> None:
    sizes = {layer: 2**layer for layer in range(1, 9)}
    by_id = {candidate.id: candidate for candidate in candidates}
    chosen = [by_id[name] for name in plan(candidates, sizes, wanted, oldest)]
    assert len(set(chosen)) == len(chosen)
    assert not any(candidate.kept for candidate in chosen)
    assert all(candidate.used_at < oldest for candidate in chosen if not candidate.step)
    before = frozenset().union(*(candidate.layers for candidate in candidates))
    after = frozenset().union(*(candidate.layers for candidate in candidates if candidate not in chosen))
    eligible = [c for c in candidates if not c.kept and not c.step and c.used_at < oldest]
    freed = sum(sizes[layer] for layer in before - after)
    assert freed >= wanted or all(candidate in chosen for candidate in eligible)
