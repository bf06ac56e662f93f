"""The window of recent changes: bounded, and honest about where it begins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from podkeeper.registry.cache.selectable import head_reader
from podkeeper.registry.cache.window import CacheEvent, Window
from podkeeper.registry.item import Shape, StoredItem

SHAPE = Shape("v1", "ConfigMap", head_reader(("", "configmaps")))


def event(revision: int, size: int = 100) -> CacheEvent:
    value = SHAPE.opening + b'"name":"a"}}' + b" " * (size - len(SHAPE.opening) - 12)
    return CacheEvent("MODIFIED", StoredItem(SHAPE, "/configmaps/d/a", "d", "a", revision, value), None)


@given(st.lists(st.integers(1, 5), max_size=300), st.integers(1, 200), st.integers(0, 2000))
def test_everything_after_since_is_there(gaps: list[int], most: int, asked: int) -> None:
    window = Window(since=0, most=most, least=1)
    revisions, now = [], 0
    for gap in gaps:
        now += gap
        revisions.append(now)
        window.append(event(now))
    assert len(window) <= most
    asked = max(asked, window.since)
    assert [each.revision for each in window.after(asked)] == [each for each in revisions if each > asked]


def test_bytes_bound_it_too_but_some_always_stay() -> None:
    window = Window(since=0, most=1000, most_bytes=1000, least=3)
    for revision in range(1, 50):
        window.append(event(revision, 500))
    assert [each.revision for each in window.after(46)] == [47, 48, 49]
    assert (len(window), window.since) == (3, 46)


def test_rendering_does_not_upset_the_account() -> None:
    window = Window(since=0, most=1000, most_bytes=1000, least=0)
    for revision in range(1, 50):
        each = event(revision, 200)
        window.append(each)
        assert each.item.json
    assert len(window) == 5


def test_it_shrinks_when_told() -> None:
    window = Window(since=0, least=2)
    for revision in range(1, 11):
        window.append(event(revision))
    window.shrink(6)
    assert (len(window), window.since) == (4, 6)
    window.shrink(100)
    assert (len(window), window.since) == (2, 8)
