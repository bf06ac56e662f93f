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
_NOT_SUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_KEEP = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_OBJECT = ("metadata", "kind", "apiVersion")
_NOTHING: tuple[Any, ...] = (None, False, "", [], {})
#: What may be said at the root beside a status subresource, as upstream lists it.
_AT_ROOT_LISTED = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern "
    "MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields "
    "XValidations"
)
_AT_ROOT = frozenset(
    {each[0].lower() + each[1:] for each in _AT_ROOT_LISTED.split() if each[:2] not in ("XP", "XV")}
    | {_KEEP, "x-kubernetes-validations"}
)
_STATUS_ROOT = (
    f"only [{_AT_ROOT_LISTED}] fields are allowed at the root of the schema if the status subresource is enabled"
)
_STATUS_TYPE = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'


def root(found: Found, at: str, schema: Tree, has_status: bool) -> None:
    """What may stand at the root of an object's schema. Where the status has a subresource of its own, its schema is
    judged apart, and only what does not bind it to the rest may be said."""
    if has_status:
        if schema.get("type") not in (None, "", "object"):
            found.invalid(f"{at}.type", schema["type"], _STATUS_TYPE)
        elif any(value not in _NOTHING and name not in _AT_ROOT for name, value in schema.items()):
            found.invalid(at, schema, _STATUS_ROOT)
    if schema.get("nullable"):
        found.forbidden(f"{at}.nullable", "nullable cannot be true at the root")


def structural(found: Found, at: str, schema: Tree) -> None:
    """Whether the schema of a whole object, as a plain tree, gives everything a type."""
    if _is_deeper(schema, DEEPEST):
        found.forbidden(at, f"schemas of more than {DEEPEST} levels are not supported")
        return
    if not schema.get("type"):
        found.required(f"{at}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        found.invalid(f"{at}.type", schema["type"], "must be object at the root")
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
    if schema.get("pattern"):
        _pattern(found, f"{at}.pattern", schema["pattern"])
    schemabranches.only_judges(found, at, schema)
    for place, branch in schemabranches.branches(at, schema):
        if branch.get("pattern"):
            _pattern(found, f"{place}.pattern", branch["pattern"])
    if schema.get("additionalProperties") is False:
        found.forbidden(f"{at}.additionalProperties", "additionalProperties cannot be set to false")
    for name, part in (schema.get("properties") or {}).items():
        _part(found, f"{at}.properties[{name}]", part, "object fields")
    if isinstance(more := schema.get("additionalProperties"), dict):
        _part(found, f"{at}.additionalProperties", more, "object fields")
    if isinstance(items := schema.get("items"), dict):
        _part(found, f"{at}.items", items, "array items")
    elif not isinstance(items, list) and schema.get("type") == "array":
        found.required(f"{at}.items", "must be specified")


def described(found: Found, at: str, schema: Tree, in_metadata: bool = False, whole: bool = True) -> None:
    """Whether a schema, as a plain tree, says what a definition may say; ``whole``: it is an object's own.

    ``in_metadata``: it is of what every object has.
    """
    if whole and _is_deeper(schema, DEEPEST):
        return  # told already
    _said(found, at, schema, in_metadata)
    if isinstance(more := schema.get("additionalProperties"), dict):
        described(found, f"{at}.additionalProperties", more, in_metadata, whole=False)
    for name, part in (schema.get("properties") or {}).items():
        of_object = (whole or schema.get(_EMBEDDED)) and name in _OBJECT
        described(found, f"{at}.properties[{name}]", part, in_metadata or bool(of_object), whole=False)
    for place, branch in schemabranches.own_branches(at, schema):
        described(found, place, branch, in_metadata, whole=False)
    if isinstance(items := schema.get("items"), dict):
        described(found, f"{at}.items", items, in_metadata, whole=False)
    if schema.get(_KEEP) is False:
        found.invalid(f"{at}.{_KEEP}", False, "must be true or undefined")
    schemalists.lists_and_maps(found, at, schema)


def _said(found: Found, at: str, schema: Tree, in_metadata: bool) -> None:
    """What stands at one place of a schema."""
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        found.unsupported(f"{at}.type", kind, _TYPES)
    for name in _NOT_SUPPORTED:
        if schema.get(name):
            found.forbidden(f"{at}.{name}", f"{name} is not supported")
    if kind == "null":
        found.forbidden(f"{at}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        found.forbidden(f"{at}.items", "items must be a schema object and not an array")
    if in_metadata and schema.get(_EMBEDDED):
        found.forbidden(f"{at}.{_EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.forbidden(f"{at}.uniqueItems", why)
    more = schema.get("additionalProperties")
    if schema.get("properties") and more not in (None, True):
        why = "additionalProperties and properties are mutual exclusive"
        found.forbidden(f"{at}.additionalProperties", why)


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
