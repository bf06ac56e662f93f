"""Definitions of custom resources.

Source: upstream's strategy of CustomResourceDefinitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from podkeeper.api import codec
from podkeeper.api.structural.formats import check_of

if TYPE_CHECKING:
    from podkeeper.api.apiextensions import v1 as apiextensions

_ONE = ("items", "not", "additionalProperties", "additionalItems")
_LISTS = ("allOf", "anyOf", "oneOf", "items")
_MAPS = ("properties", "patternProperties", "definitions", "dependencies")


def definition(
    new: apiextensions.CustomResourceDefinition, old: apiextensions.CustomResourceDefinition | None
) -> Iterator[str]:
    """Formats of strings that nothing is checked for; on an update those that are new."""
    if old is not None and new.spec == old.spec:
        return
    known = set(_formats(old)) if old is not None else ()
    for name in _formats(new):
        if name not in known:
            yield f'unrecognized format "{name}"'


def _formats(obj: apiextensions.CustomResourceDefinition) -> Iterator[str]:
    for version in obj.spec.versions:
        if version.schema is not None and version.schema.open_api_v3_schema is not None:
            yield from _of_schema(codec.to_tree(version.schema.open_api_v3_schema))


def _of_schema(tree: dict[str, Any]) -> Iterator[str]:
    name = tree.get("format")
    if name and tree.get("type") == "string" and check_of(name) is None:
        yield name
    for below in _below(tree):
        if isinstance(below, dict):
            yield from _of_schema(below)


def _below(tree: dict[str, Any]) -> Iterator[Any]:
    for key in _ONE:
        yield tree.get(key)
    for key in _LISTS:
        each = tree.get(key)
        yield from each if isinstance(each, list) else ()
    for key in _MAPS:
        yield from (tree.get(key) or {}).values()
