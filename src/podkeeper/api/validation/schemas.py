"""Structural schemas of custom resources: every field has a type, and nothing is said that cannot be kept to.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podkeeper.api.validation import schemabranches, schemalists
from podkeeper.api.validation.fields import Found

Tree = dict[str, Any]

#: Levels of objects and lists, schemas in branches included, that are looked into.
DEEPEST = 64
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NOT_SUPPORTED = ("definitions", "dependencies", "patternProperties", "additionalItems", "$ref", "id")
_KEEP = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"


def structural(found: Found, at: str, schema: Tree) -> None:
    """The schema of a whole object, as a plain tree."""
    if _is_deeper(schema, DEEPEST):
        found.forbidden(at, f"schemas of more than {DEEPEST} levels are not supported")
        return
    if not schema.get("type"):
        found.required(f"{at}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        found.invalid(f"{at}.type", schema["type"], "must be object at the root")
    if schema.get("nullable"):
        found.forbidden(f"{at}.nullable", "nullable cannot be true at the root")
    _members(found, at, schema)


def _part(found: Found, at: str, schema: Tree, of: str) -> None:
    """The schema of a field or an item."""
    if schema.get(_INT_OR_STRING):
        if schema.get("type"):
            why = f"must be empty if {_INT_OR_STRING} is true"
            found.invalid(f"{at}.type", schema["type"], why)
    elif not schema.get("type") and not schema.get(_KEEP):
        found.required(f"{at}.type", f"must not be empty for specified {of}")
    _members(found, at, schema)


def _members(found: Found, at: str, schema: Tree) -> None:
    _said(found, at, schema)
    schemabranches.only_judges(found, at, schema)
    for place, branch in schemabranches.branches(at, schema):
        if branch.get("pattern"):
            _pattern(found, f"{place}.pattern", branch["pattern"])
    for name, part in (schema.get("properties") or {}).items():
        _part(found, f"{at}.properties[{name}]", part, "object fields")
    more = schema.get("additionalProperties")
    if more is False:
        found.forbidden(f"{at}.additionalProperties", "additionalProperties cannot be set to false")
    elif more is not None and schema.get("properties"):
        why = "additionalProperties and properties are mutual exclusive"
        found.forbidden(f"{at}.additionalProperties", why)
    if isinstance(more, dict):
        _part(found, f"{at}.additionalProperties", more, "object fields")
    items = schema.get("items")
    if isinstance(items, dict):
        _part(found, f"{at}.items", items, "array items")
    elif items is not None:
        found.forbidden(f"{at}.items", "items must be a schema object and not an array")
    elif schema.get("type") == "array":
        found.required(f"{at}.items", "must be specified")


def _said(found: Found, at: str, schema: Tree) -> None:
    """What stands at one place of a schema."""
    for name in _NOT_SUPPORTED:
        if schema.get(name):
            found.forbidden(f"{at}.{name}", f"{name} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.forbidden(f"{at}.uniqueItems", why)
    if schema.get("pattern"):
        _pattern(found, f"{at}.pattern", schema["pattern"])
    kind = schema.get("type")
    if kind == "null":
        found.forbidden(f"{at}.type", "type cannot be set to null, use nullable as an alternative")
    elif kind and kind not in _TYPES:
        found.unsupported(f"{at}.type", kind, _TYPES)
    if schema.get(_KEEP) is False:
        found.invalid(f"{at}.{_KEEP}", False, "must be true or undefined")
    schemalists.lists_and_maps(found, at, schema)


def _pattern(found: Found, at: str, pattern: str) -> None:
    # Loaded by those whose schemas have patterns.
    from podkeeper.api.cel import EvaluationError
    from podkeeper.api.cel.patterns import compiled

    try:
        compiled(pattern)
    except EvaluationError as error:
        found.invalid(at, pattern, f"must be a valid regular expression, but isn't: {error}")


def _is_deeper(schema: Any, levels: int) -> bool:
    """Whether a tree has schemas within schemas beyond so many levels; each takes two levels of JSON or less."""
    level: list[Any] = [schema]
    for _ in range(2 * levels + 2):
        level = [each for part in level for each in _parts(part)]
        if not level:
            return False
    return True


def _parts(tree: Any) -> Iterable[Any]:
    if isinstance(tree, dict):
        return [each for each in tree.values() if isinstance(each, dict | list)]
    return [each for each in tree if isinstance(each, dict | list)]
