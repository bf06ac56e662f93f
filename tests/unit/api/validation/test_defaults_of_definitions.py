"""Defaults in schemas of custom resources are judged as the values that they become."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.structural.schema import parse
from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.schemadefaults import schema_defaults

Tree = dict[str, Any]
AT = "s.properties[spec].default"


def told(spec: Tree) -> list[str]:
    found = Found()
    schema_defaults(found, "s", parse({"type": "object", "properties": {"spec": spec}}))
    return [f"{each.field}: {each.message}" for each in found]


SMALL: Tree = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"type": "string", "default": "x"}, []),
        (
            {"type": "string", "default": 1},
            [f'{AT}: Invalid value: "integer":  in body must be of type string: "integer"'],
        ),
        (SMALL | {"default": {"n": 3}}, []),
        (
            SMALL | {"default": {"n": 4}},
            [f"{AT}.n: Invalid value: 4: n in body should be less than or equal to 3"],
        ),
        (SMALL | {"default": {"m": 4}}, [f'{AT}: Invalid value: {{"m":4}}: must not have unknown fields']),
        (
            SMALL | {"default": {}, "x-kubernetes-validations": [{"rule": "self.n > 0"}]},
            [f'{AT}: Invalid value: "object": no such key: n evaluating rule: self.n > 0'],
        ),
        (
            {"type": "array", "items": {"type": "string", "default": "x", "enum": ["y"]}},
            ['s.properties[spec].items.default: Unsupported value: "x": supported values: "y"'],
        ),
    ],
)
def test_a_default_would_be_good_where_it_stands(spec: Tree, says: list[str]) -> None:
    assert told(spec) == says


def test_what_everybody_has_has_no_defaults() -> None:
    found = Found()
    metadata = {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}
    schema_defaults(found, "s", parse({"type": "object", "properties": {"metadata": metadata}}))
    [only] = found
    assert only.field == "s.properties[metadata].properties[name].default"
    assert only.message == "Forbidden: must not be set in top-level metadata"
