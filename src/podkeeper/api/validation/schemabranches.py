"""What stands in ``allOf``, ``anyOf``, ``oneOf`` and ``not`` of a structural schema: it judges values, and no more.

Source: Kubernetes reference, Custom Resources, "Specifying a structural schema"; apiextensions-apiserver,
pkg/apiserver/schema/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from podkeeper.api.validation.fields import Found

Tree = dict[str, Any]

_EMPTY, _UNDEFINED, _FALSE = (f"must be {each} to be structural" for each in ("empty", "undefined", "false"))
#: What only the schema itself may say, with the words for a branch that says it.
_FORBIDDEN = {
    "type": _EMPTY,
    "title": _EMPTY,
    "description": _EMPTY,
    "additionalProperties": _UNDEFINED,
    "default": _UNDEFINED,
    "nullable": _FALSE,
    "x-kubernetes-preserve-unknown-fields": _FALSE,
    "x-kubernetes-embedded-resource": _FALSE,
    "x-kubernetes-int-or-string": _FALSE,
    "x-kubernetes-list-map-keys": _EMPTY,
    "x-kubernetes-list-type": _UNDEFINED,
    "x-kubernetes-map-type": _UNDEFINED,
}
_EITHER = [{"type": "integer"}, {"type": "string"}]


def own_branches(at: str, schema: Tree) -> Iterator[tuple[str, Tree]]:
    """The branches of one place, with their places."""
    if isinstance(schema.get("not"), dict):
        yield f"{at}.not", schema["not"]
    for name in ("allOf", "oneOf", "anyOf"):
        for index, each in enumerate(schema.get(name) or ()):
            yield f"{at}.{name}[{index}]", each


def branches(at: str, schema: Tree) -> Iterator[tuple[str, Tree]]:
    """The same, and everything below them."""
    for place, each in own_branches(at, schema):
        yield from _below(place, each)


def _below(at: str, schema: Tree) -> Iterator[tuple[str, Tree]]:
    yield at, schema
    yield from branches(at, schema)
    for name, each in (schema.get("properties") or {}).items():
        yield from _below(f"{at}.properties[{name}]", each)
    if isinstance(schema.get("items"), dict):
        yield from _below(f"{at}.items", schema["items"])


def only_judges(found: Found, at: str, schema: Tree) -> None:
    """The branches of one place. Numbers or strings may be told apart as the documentation does it."""
    given = schema
    if schema.get("x-kubernetes-int-or-string"):
        given = schema | {name: _without_either(schema.get(name) or []) for name in ("anyOf", "allOf")}
    for place, branch in branches(at, given):
        for name, why in _FORBIDDEN.items():
            if branch.get(name) not in (None, False, "", [], ()) or (name == "default" and name in branch):
                found.forbidden(f"{place}.{name}", why)


def _without_either(listed: list[Tree]) -> list[Tree]:
    """Branches but for ``[{type: integer}, {type: string}]`` and, within allOf, ``{anyOf: that}``."""
    if listed == _EITHER:
        return []
    return [each for each in listed if each != {"anyOf": _EITHER}]
