"""Defaults of custom objects, and nulls that stand where none may.

A null where the schema is not nullable counts as absent. Source: Kubernetes reference, Custom Resources, "Defaulting"
and "Defaulting and Nullable".
"""

from __future__ import annotations

import copy
from typing import Any

from podkeeper.api.structural.schema import Schema


def default(value: Any, schema: Schema) -> None:
    """Fills in what is missing in an object, in place."""
    if not schema.has_defaults:
        return
    if isinstance(value, list):
        if schema.items is not None:
            for item in value:
                default(item, schema.items)
        return
    if not isinstance(value, dict):
        return
    for name, child in schema.properties.items():
        if child.has_default and (name not in value or (value[name] is None and not child.nullable)):
            value[name] = copy.deepcopy(child.tree["default"])
        if name in value:
            default(value[name], child)
    if schema.values is not None:
        for name, member in value.items():
            if name not in schema.properties:
                default(member, schema.values)


def drop_nulls(value: Any, schema: Schema) -> None:
    """Takes out nulls of fields that are not nullable, in place. Where there is a default, ``default`` comes first."""
    if isinstance(value, list):
        for item in value:
            if schema.items is not None:
                drop_nulls(item, schema.items)
        return
    if not isinstance(value, dict):
        return
    for name in list(value):
        child = schema.child(name)
        if child is None:
            continue
        if value[name] is None and not child.nullable:
            del value[name]
        else:
            drop_nulls(value[name], child)
