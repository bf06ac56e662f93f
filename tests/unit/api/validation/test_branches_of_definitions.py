"""Branches of schemas of custom resources judge values and say nothing else, and their patterns are patterns."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.schemas import structural

Tree = dict[str, Any]
EITHER: list[Tree] = [{"type": "integer"}, {"type": "string"}]


def told(part: Tree) -> list[str]:
    found = Found()
    structural(found, "s", {"type": "object", "properties": {"a": part}})
    return [f"{each.field.removeprefix('s.properties[a].')}: {each.message}" for each in found]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"type": "string", "anyOf": [{"minLength": 1}, {"pattern": "^a"}]}, []),
        (
            {"type": "string", "anyOf": [{"not": {"pattern": "("}}]},
            [
                'anyOf[0].not.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error '
                "parsing regexp: missing closing ): `(`"
            ],
        ),
        (
            {"type": "string", "allOf": [{"type": "string"}]},
            ["allOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            {"type": "object", "oneOf": [{"properties": {"b": {"default": None, "nullable": True}}}]},
            [
                "oneOf[0].properties[b].default: Forbidden: must be undefined to be structural",
                "oneOf[0].properties[b].nullable: Forbidden: must be false to be structural",
            ],
        ),
        ({"x-kubernetes-int-or-string": True, "anyOf": EITHER}, []),
        ({"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": EITHER}, {"pattern": "x"}]}, []),
    ],
)
def test_branches_only_judge(part: Tree, says: list[str]) -> None:
    assert told(part) == says


def test_schemas_end_somewhere() -> None:
    def nested(levels: int) -> list[str]:
        part: Tree = {"type": "string"}
        for _ in range(levels):
            part = {"type": "object", "properties": {"a": part}}
        return told(part)

    assert nested(60) == []
    assert nested(70) == ["s: Forbidden: schemas of more than 64 levels are not supported"]
