"""What schemas of custom resources say of merging lists and maps is held against itself."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.schemalists import lists_and_maps

Tree = dict[str, Any]

KEYS = "x-kubernetes-list-map-keys"
ITEM: Tree = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
}


def listed(kind: str, items: Tree, **more: Any) -> Tree:
    return {"type": "array", "x-kubernetes-list-type": kind, "items": items} | more


def keyed(*keys: str, **item: Any) -> Tree:
    return listed("map", ITEM | item) | {KEYS: list(keys)}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (keyed("name"), []),
        (listed("map", ITEM), [f"s.{KEYS}: Required value: must not be empty if x-kubernetes-list-type is map"]),
        (
            listed("map", {"type": "string"}, **{KEYS: ["a"]}),
            ['s.items.type: Invalid value: "string": must be object if parent array\'s x-kubernetes-list-type is map'],
        ),
        (keyed("x"), [f's.{KEYS}: Invalid value: ["x"]: entries must all be names of item properties']),
        (keyed("name", "name"), [f's.{KEYS}: Invalid value: ["name","name"]: must not contain duplicate entries']),
        (
            keyed("n"),
            [
                "s.items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it "
                "must have a default or be a required property"
            ],
        ),
        (
            keyed("name", nullable=True),
            ["s.items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map"],
        ),
        (
            {"type": "object", KEYS: ["a"]},
            [f"s.x-kubernetes-list-type: Required value: must be map if {KEYS} is non-empty"],
        ),
        (
            listed("set", {"type": "object"}),
            [
                "s.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with "
                "x-kubernetes-list-type=set"
            ],
        ),
        (
            {"type": "string", "x-kubernetes-map-type": "big"},
            [
                's.type: Invalid value: "string": must be object if x-kubernetes-map-type is specified',
                's.x-kubernetes-map-type: Unsupported value: "big": supported values: "atomic", "granular"',
            ],
        ),
    ],
)
def test_it_says_what_does_not_go_together(schema: Tree, told: list[str]) -> None:
    found = Found()
    lists_and_maps(found, "s", schema)
    assert [f"{each.field}: {each.message}" for each in found] == told
