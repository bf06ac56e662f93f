"""JSON Merge Patch: RFC 7386's table and its algebra."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.errors import ApiError
from podkeeper.api.patches import merge_patch
from podkeeper.api.patches.trees import copied

keys = st.sampled_from("abc")
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x"]))
documents = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3))
objects = st.dictionaries(keys, documents, max_size=3)
patches = st.dictionaries(
    keys,
    st.recursive(scalars | st.none(), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=6),
    max_size=3,
)


@pytest.mark.parametrize(
    ("tree", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_rfcs_table(tree: Any, patch: Any, expected: Any) -> None:
    assert merge_patch.merged(tree, patch) == expected


@pytest.mark.parametrize("patch", [[], "x", None, 1])
def test_a_patch_of_an_object_must_be_an_object(patch: Any) -> None:
    with pytest.raises(ApiError) as caught:
        merge_patch.apply({}, patch)
    assert caught.value.code == 400


@given(objects, patches)
@settings(max_examples=150)
def test_applying_twice_is_applying_once(tree: Any, patch: Any) -> None:
    once = merge_patch.apply(tree, patch)
    assert merge_patch.apply(once, patch) == once


@given(objects, patches)
@settings(max_examples=150)
def test_changes_neither_argument(tree: Any, patch: Any) -> None:
    before, asked = copied(tree), copied(patch)
    merge_patch.apply(tree, patch)
    assert (tree, patch) == (before, asked)


@given(objects)
def test_the_empty_patch_changes_nothing(tree: Any) -> None:
    assert merge_patch.apply(tree, {}) == tree


@given(objects, objects)
def test_there_is_a_patch_from_any_object_to_any_other(tree: Any, wanted: Any) -> None:
    assert merge_patch.apply(tree, _difference(tree, wanted)) == wanted


def _difference(tree: Any, wanted: Any) -> Any:
    if not (isinstance(tree, dict) and isinstance(wanted, dict)):
        return wanted
    gone = {key: None for key in tree if key not in wanted}
    return {**gone, **{key: _difference(tree.get(key), wanted[key]) for key in wanted}}
