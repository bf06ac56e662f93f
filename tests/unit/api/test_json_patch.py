"""JSON Patch: RFC 6902's operations, its atomicity, and the limits."""

from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.api.patches import json_patch


@pytest.mark.parametrize(
    ("tree", "step", "expected"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
        ({"a": 1}, {"op": "remove", "path": "/a"}, {}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/-1"}, {"a": [1]}),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": None}, {"a": None}),
        ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 1}}, {"b": 1}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a/b": 1, "m~n": 2}, {"op": "remove", "path": "/a~1b"}, {"m~n": 2}),
        ({"a/b": 1, "m~n": 2}, {"op": "remove", "path": "/m~0n"}, {"a/b": 1}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 1}, {"a": 1}),
        ({"a": 1}, {"op": "test", "path": "/b", "value": None}, {"a": 1}),
    ],
)
def test_operations(tree: Any, step: dict[str, Any], expected: Any) -> None:
    assert json_patch.apply(tree, [step]) == expected


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/one", "value": "1"},
        {"op": "test", "path": "/list", "value": [1]},
        {"op": "remove", "path": "/absent"},
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "add", "path": "/absent/b", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/one/b", "value": 1},
        {"op": "add", "path": "nowhere", "value": 1},
        {"op": "add", "path": "", "value": {}},
        {"op": "test", "path": "", "value": {}},
        {"op": "replace", "path": "", "value": "text"},
        {"op": "move", "from": "/list", "path": "/list/0"},
        {"op": "frobnicate", "path": "/one"},
        {"path": "/one"},
    ],
)
def test_what_does_not_apply_is_unprocessable_and_changes_nothing(step: dict[str, Any]) -> None:
    tree = {"one": 1, "list": [1, 2]}
    with pytest.raises(ApiError) as caught:
        json_patch.apply(tree, [{"op": "add", "path": "/new", "value": 1}, step])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert tree == {"one": 1, "list": [1, 2]}


@pytest.mark.parametrize("patch", [{}, "x", [1], None])
def test_a_patch_must_be_a_list_of_operations(patch: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch.apply({}, patch)
    assert caught.value.code == 400


def test_one_and_one_point_nought_are_equal() -> None:
    assert json_patch.apply({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}]) == {"a": 1}


def test_too_many_operations() -> None:
    patch = [{"op": "test", "path": "/a", "value": 1}] * (json_patch.MAX_OPERATIONS + 1)
    with pytest.raises(ApiError) as caught:
        json_patch.apply({"a": 1}, patch)
    assert caught.value.code == 413


def test_copies_cannot_double_without_bound() -> None:
    tree = {"a": {"x": "y" * 1000}}
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/{number}"} for number in range(40)]
    with pytest.raises(ApiError) as caught:
        json_patch.apply(tree, doubling)
    assert caught.value.code == 422


def test_the_result_is_free_of_the_patch() -> None:
    patch = [{"op": "add", "path": "/a", "value": {"b": 1}}]
    json_patch.apply({}, patch)["a"]["b"] = 2
    assert patch == [{"op": "add", "path": "/a", "value": {"b": 1}}]
