"""Trees as expressions see them: members are adapted to their declarations when they are asked for.

A field that is null is absent. A list of the type ``set`` or ``map`` is equal to another in any order, and a sum keeps
each member, or each key, once. Source: Kubernetes reference, Custom Resources, "Validation rules".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from podkeeper.api.cel import types
from podkeeper.api.cel.declarations import Declaration
from podkeeper.api.cel.times import parse_date, parse_duration, parse_timestamp
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import (
    LISTS,
    MISSING,
    NONE,
    EvaluationError,
    ListValue,
    MapValue,
    Optional,
    Value,
    equal,
    find,
)


def adapt(declaration: Declaration, value: Any) -> Value:
    """A member of a tree as a value of its declared type. Raises EvaluationError for data of another type."""
    if declaration.plain or isinstance(value, ListValue | MapValue):
        return value
    form = declaration.type.form
    if form == "optional":
        return _optional(declaration, value)
    if value is None:
        return None
    if form == "object" and isinstance(value, dict):
        return ObjectView(value, declaration)
    if form == "map" and isinstance(value, dict):
        return MapView(value, declaration)
    if form == "list" and isinstance(value, list):
        return _LISTS.get(declaration.list_type, ListView)(value, declaration)
    if form == "simple":
        return _ADAPTERS[declaration.type](declaration, value)
    raise EvaluationError(f"invalid data, expected {declaration.type.name}, got {type(value).__name__}")


def _optional(declaration: Declaration, value: Any) -> Optional:
    assert declaration.items is not None
    given = value.value if isinstance(value, Optional) else value
    return NONE if given is None else Optional(adapt(declaration.items, given))


def _double(_: Declaration, value: Any) -> float:
    if type(value) in (int, float):
        return float(value)
    raise EvaluationError(f"invalid data, expected float, got {type(value).__name__}")


def _bytes(_: Declaration, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise EvaluationError(f"failed to decode base64 data, got {value!r}") from error


def _timestamp(declaration: Declaration, value: str) -> Value:
    return parse_date(value) if declaration.format == "date" else parse_timestamp(value)


_ADAPTERS: dict[Type, Callable[[Declaration, Any], Value]] = {
    types.DOUBLE: _double,
    types.BYTES: _bytes,
    types.TIMESTAMP: _timestamp,
    types.DURATION: lambda _, value: parse_duration(value),
}


class ObjectView(MapValue):
    """An object with declared fields. Others are there for equality alone."""

    __slots__ = ("cel_type", "declaration", "tree")
    is_object = True

    def __init__(self, tree: dict[str, Any], declaration: Declaration) -> None:
        self.tree = tree
        self.declaration = declaration
        self.cel_type = declaration.type

    def find(self, key: Value) -> Value:
        declaration = self.declaration
        value = self.tree.get(declaration.wire.get(key, key))
        if value is None:
            return MISSING
        declared = declaration.fields.get(key)
        return value if declared is None else adapt(declared, value)

    def __len__(self) -> int:
        return sum(value is not None for value in self.tree.values())

    def __iter__(self) -> Iterator[str]:
        escaped = self.declaration.escaped
        return (escaped.get(key, key) for key, value in self.tree.items() if value is not None)


class MapView(MapValue):
    """A map whose values need adapting."""

    __slots__ = ("items", "tree")

    def __init__(self, tree: dict[str, Any], declaration: Declaration) -> None:
        assert declaration.items is not None
        self.tree = tree
        self.items = declaration.items

    def find(self, key: Value) -> Value:
        value = self.tree.get(key, MISSING) if isinstance(key, str) else MISSING
        return value if value is MISSING else adapt(self.items, value)

    def __len__(self) -> int:
        return len(self.tree)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tree)


class ListView(ListValue):
    """A list whose members need adapting."""

    __slots__ = ("declaration", "items", "members")

    def __init__(self, members: list[Any], declaration: Declaration) -> None:
        assert declaration.items is not None
        self.members = members
        self.items = declaration.items
        self.declaration = declaration

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Value:
        return adapt(self.items, self.members[index])

    def __iter__(self) -> Iterator[Value]:
        items = self.items
        return iter(self.members) if items.plain else (adapt(items, each) for each in self.members)


class SetView(ListView):
    """``x-kubernetes-list-type: set``: every member once, in no order."""

    __slots__ = ()
    unordered = True

    def equals(self, other: Any) -> bool:
        if len(self) != len(other):
            return False
        mine = {_identity(each) for each in self}
        return all(_identity(each) in mine for each in other)

    def plus(self, other: Any) -> Value:
        mine = {_identity(each) for each in self}
        return SetView([*self, *(each for each in other if _identity(each) not in mine)], _adapted(self.declaration))


class MapListView(ListView):
    """``x-kubernetes-list-type: map``: every combination of keys once, in no order."""

    __slots__ = ()
    unordered = True

    def _keyed(self, members: Any) -> dict[Any, Value]:
        keys = self.declaration.map_keys
        return {tuple(_identity(find(each, key)) for key in keys): each for each in members}

    def equals(self, other: Any) -> bool:
        if len(self) != len(other):
            return False
        mine, theirs = self._keyed(self), self._keyed(other)
        return mine.keys() == theirs.keys() and all(equal(each, theirs[key]) for key, each in mine.items())

    def plus(self, other: Any) -> Value:
        merged = self._keyed(self) | self._keyed(other)
        return MapListView(list(merged.values()), _adapted(self.declaration))


_LISTS: Mapping[str, type[ListView]] = {"set": SetView, "map": MapListView}


def _adapted(declaration: Declaration) -> Declaration:
    """The declaration of a list whose members are values already."""
    return Declaration(
        declaration.type,
        items=Declaration(types.DYN),
        list_type=declaration.list_type,
        map_keys=declaration.map_keys,
    )


def _identity(value: Value) -> Any:
    """What a member is known by among others: true is not 1, and 1 is 1.0."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, LISTS):
        return tuple(map(_identity, value))
    if isinstance(value, dict | MapValue):
        return frozenset((key, _identity(find(value, key))) for key in value)
    return value


class StructValue(MapValue):
    """A message that an expression has built."""

    __slots__ = ("cel_type", "fields")
    is_object = True

    def __init__(self, given: Type, fields: dict[str, Value]) -> None:
        self.cel_type = given
        self.fields = fields

    def find(self, key: Value) -> Value:
        return self.fields.get(key, MISSING)

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)


def tree_of(value: Value) -> Any:
    """A value as the JSON tree that it stands for, as the results of mutations are read."""
    if isinstance(value, ObjectView | MapView):
        return value.tree
    if isinstance(value, dict | MapValue):
        return {str(key): tree_of(find(value, key)) for key in value}
    if isinstance(value, LISTS):
        return [tree_of(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
