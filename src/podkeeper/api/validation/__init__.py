"""Validation: what the API server refuses with 422 Invalid, in upstream's words.

``validate_create(resource, tree, obj)`` judges a new object, ``validate_update(resource, new, old)`` a changed one;
both return the mistakes in the order of the object's fields. Defaults are applied before. The metadata of all kinds,
custom ones included, is judged here; a kind's own rules stand in the module of its family, loaded when they are first
needed.

Source: https://kubernetes.io/docs/reference/kubernetes-api/ (each kind's page names its fields' rules).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Protocol

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import Cause
from podkeeper.api.validation import metadata
from podkeeper.api.validation.fields import Found

#: (group, kind) -> "module:noun" whose ``noun`` judges a new object and ``noun_update`` a changed one.
_RULES: dict[tuple[str, str], str] = {}


class OnCreate(Protocol):
    """Appends the mistakes of a new object."""

    def __call__(self, found: Found, obj: Any) -> None: ...


class OnUpdate(Protocol):
    """Appends the mistakes of a change."""

    def __call__(self, found: Found, new: Any, old: Any) -> None: ...


def validate_create(resource: Resource, tree: dict[str, Any], obj: Any) -> list[Cause]:
    """The mistakes of a new object, none when it is good. ``tree`` is the same object as plain JSON."""
    found = Found()
    metadata.on_create(found, resource, obj.metadata)
    rules = _rules(resource.group, resource.kind)
    if rules is not None:
        rules[0](found, obj)
    return found


def validate_update(resource: Resource, new: Any, old: Any) -> list[Cause]:
    """The mistakes of a changed object, judged beside the object as it was."""
    found = Found()
    metadata.on_update(found, new.metadata, old.metadata)
    rules = _rules(resource.group, resource.kind)
    if rules is not None:
        rules[1](found, new, old)
    return found


@cache
def _rules(group: str, kind: str) -> tuple[OnCreate, OnUpdate] | None:
    place = _RULES.get((group, kind))
    if place is None:
        return None
    module_name, _, noun = place.partition(":")
    module = import_module(f"{__name__}.{module_name}")
    return getattr(module, noun), getattr(module, f"{noun}_update")
