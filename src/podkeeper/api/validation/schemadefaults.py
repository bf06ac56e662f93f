"""Defaults of custom resources' schemas: each would be good where it stands.

Source: apiextensions-apiserver, pkg/apiserver/schema/defaulting.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from podkeeper.api.errors import Cause
from podkeeper.api.structural import embedded_objects, prune, validate
from podkeeper.api.structural.schema import Schema
from podkeeper.api.validation.fields import Found

_OBJECT = ("apiVersion", "kind", "metadata")


def schema_defaults(found: Found, at: str, schema: Schema) -> None:
    """All defaults of an object's schema, which is good otherwise."""
    if schema.has_default:
        found.forbidden(f"{at}.default", "must not be set")
    for name in _OBJECT:
        if name in schema.properties and schema.properties[name].has_defaults:
            for place, _ in _defaults(f"{at}.properties[{name}]", schema.properties[name]):
                found.forbidden(f"{place}.default", f"must not be set in top-level {name}")
    if found:
        return
    for place, each in _defaults(at, schema):
        _judge(found, f"{place}.default", each)


def _defaults(at: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The places that have one."""
    if not schema.has_defaults:
        return
    if schema.has_default:
        yield at, schema
    for name, each in schema.properties.items():
        yield from _defaults(f"{at}.properties[{name}]", each)
    if schema.values is not None:
        yield from _defaults(f"{at}.additionalProperties", schema.values)
    if schema.items is not None:
        yield from _defaults(f"{at}.items", schema.items)


def _judge(found: Found, at: str, schema: Schema) -> None:
    value: Any = copy.deepcopy(schema.tree["default"])
    if isinstance(value, dict | list) and prune(value, schema, whole=schema.embedded):
        found.invalid(at, schema.tree["default"], "must not have unknown fields")
        return
    mistakes = embedded_objects(value, schema) or validate(value, schema, whole=schema.embedded)
    if not mistakes and schema.has_rules:
        # Most schemas have none, and the language is large.
        from podkeeper.api.structural.rules import RuleBook

        mistakes = RuleBook(schema, root=schema.embedded).judge(value, None)
    for each in mistakes:
        inside = "" if each.field in ("", "<nil>") else each.field
        place = at + inside if inside.startswith("[") else f"{at}.{inside}" if inside else at
        found.append(Cause(each.reason, each.message, place))
