"""Documents of several servers made one."""

from __future__ import annotations

from typing import Any

from podkeeper.api.openapi import merging

KINDS = "x-kubernetes-group-version-kind"


def refers(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def test_a_part_has_the_definitions_that_its_paths_lead_to() -> None:
    document = {
        "paths": {"/apis/a/v1/x": {"get": {"schema": refers("A")}}, "/apis/a/v10/x": {"get": {"schema": refers("D")}}},
        "definitions": {"A": {"items": refers("B")}, "B": {"allOf": [refers("A"), refers("gone")]}, "C": {}, "D": {}},
    }
    part = merging.below(document, "/apis/a/v1/")
    assert (list(part["paths"]), sorted(part["definitions"])) == (["/apis/a/v1/x"], ["A", "B"])


def merged(own: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    paths = {"/p": {"schema": refers(next(iter(part)))}}
    return merging.merged({"paths": {"/a": {}}, "definitions": own}, {"paths": paths, "definitions": part})


def test_equal_definitions_are_one() -> None:
    found = merged({"A": {"type": "object", KINDS: [1]}}, {"A": {"type": "object", KINDS: [1, 2]}})
    assert found["definitions"] == {"A": {"type": "object", KINDS: [1, 2]}}
    assert list(found["paths"]) == ["/a", "/p"]


def test_different_definitions_get_another_name_wherever_they_are_meant() -> None:
    own = {"A": {"type": "string"}, "A_v2": {"type": "number"}}
    found = merged(own, {"A": {"properties": {"a": refers("A")}}, "A_v3": {}})
    assert found["definitions"] == own | {"A_v3": {}, "A_v4": {"properties": {"a": refers("A_v4")}}}
    assert found["paths"]["/p"]["schema"] == refers("A_v4")


def test_a_name_that_was_made_for_the_same_definition_is_used_again() -> None:
    own = {"A": {"type": "string"}, "A_v2": {"type": "object"}}
    assert merged(own, {"A": {"type": "object"}})["definitions"] == own


def test_own_paths_win() -> None:
    found = merging.merged({"paths": {"/a": 1}, "definitions": {}}, {"paths": {"/a": 2}, "definitions": {}})
    assert found["paths"] == {"/a": 1}
