"""What upstream judges apart from the schema proper: embedded objects, and lists that are sets or maps.

Embedded objects are judged however they were before. What is twice in a list is told at its second place; a list may
hold something twice if anything was twice in the old object.

Source: apiextensions-apiserver, pkg/apiserver/schema/objectmeta and listtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from podkeeper.api.errors import Cause
from podkeeper.api.structural import embedded
from podkeeper.api.structural.schema import Schema
from podkeeper.api.validation.fields import Found, joined

_UNIQUE = ("set", "map")


def embedded_objects(tree: Any, schema: Schema) -> list[Cause]:
    """What is wrong with the type and metadata of the objects within an object."""
    found = Found()
    for at, value, place in _places(tree, schema, ""):
        if place.embedded and isinstance(value, dict):
            embedded.judge(found, value, at)
    return found


def duplicates(tree: Any, schema: Schema, old: Any = None) -> list[Cause]:
    """What is twice in lists where it may not be; nothing, if something was in ``old``."""
    found = _duplicates(tree, schema)
    return [] if found and old is not None and _duplicates(old, schema) else found


def _duplicates(tree: Any, schema: Schema) -> list[Cause]:
    found = Found()
    for at, value, place in _places(tree, schema, ""):
        if place.list_type in _UNIQUE and isinstance(value, list):
            _unique(found, value, place, at)
    return found


def _unique(found: Found, items: list[Any], schema: Schema, at: str) -> None:
    times: dict[bytes, int] = {}
    for index, item in enumerate(items):
        key = item
        if schema.list_type == "map":
            key = {name: item[name] for name in schema.map_keys if name in item} if isinstance(item, dict) else {}
        known = msgspec.json.encode(key, order="deterministic")
        times[known] = times.get(known, 0) + 1
        if times[known] == 2:
            found.duplicate(f"{at}[{index}]", key)


def _places(value: Any, schema: Schema, at: str) -> Iterator[tuple[str, Any, Schema]]:
    """Objects and lists, outer ones first, as far as anything is to be judged in them."""
    if not schema.has_places:
        return
    yield at, value, schema
    if isinstance(value, list):
        for index, item in enumerate(value if schema.items is not None and schema.items.has_places else ()):
            yield from _places(item, schema.items, f"{at}[{index}]")  # type: ignore[arg-type]
    elif isinstance(value, dict):
        for name, member in value.items():
            child = schema.child(name)
            if child is not None and child.has_places and isinstance(member, dict | list):
                yield from _places(member, child, joined(at, name) if name in schema.properties else f"{at}[{name}]")
