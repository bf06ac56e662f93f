"""Sets of fields obey the algebra of sets, whatever their shape."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.apply.fieldsets import FieldSet, Path, difference, intersection, ordered, paths, union

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
PATHS = st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple), max_size=8)


def of_paths(members: Iterator[Path]) -> FieldSet:
    """The set of these members."""
    result: FieldSet = {}
    for path in members:
        node: FieldSet = {}
        for element in reversed(path):
            node = {element: node}
        result = union(result, node)
    return result


@given(PATHS, PATHS)
def test_operations_are_those_of_sets_of_paths(
    left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]
) -> None:
    ours, theirs = of_paths(iter(left)), of_paths(iter(right))
    assert set(paths(ours)) == left
    assert set(paths(union(ours, theirs))) == left | right
    assert set(paths(difference(ours, theirs))) == left - right
    assert set(paths(intersection(ours, theirs))) == left & right


@given(PATHS, PATHS)
def test_one_set_has_one_form(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> None:
    """Else a write that changes no claim would look as if it did."""
    ours, theirs = of_paths(iter(left)), of_paths(iter(right))
    assert union(ours, theirs) == union(theirs, ours) == of_paths(iter(left | right))
    assert difference(union(ours, theirs), theirs) == of_paths(iter(left - right))


def test_a_node_is_a_member_when_it_is_empty_or_says_so() -> None:
    assert list(paths({"f:a": {".": {}, "f:b": {}}, "f:c": {"f:d": {}}})) == [("f:a",), ("f:a", "f:b"), ("f:c", "f:d")]


def test_elements_are_stored_in_order() -> None:
    assert list(ordered({"f:b": {}, "f:a": {"k:{}": {}, ".": {}}})["f:a"]) == [".", "k:{}"]
