"""Trees into Go's types without a text between: what strategic merge patches go through.

The first misfit in the order of Go's fields is told, without its place. Source: runtime/converter.go of
k8s.io/apimachinery.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api.gojson import types
from podkeeper.api.gojson.printing import kind_name
from podkeeper.api.gojson.types import INTEGERS, Type
from podkeeper.api.gojson.values import READERS, Mismatch, Refusal, base64_complaint


def misfit(tree: Any, struct: str) -> str:
    """What is wrong with a tree as a struct (``apps/v1.Deployment``); empty if nothing is."""
    try:
        _convert(types.struct(struct), tree)
    except _Misfit as found:
        return str(found)
    return ""


class _Misfit(Exception):
    """A value that has no place in its type."""


def _convert(type_: Type, value: Any) -> None:
    if value is None:
        return
    type_ = type_.pointee()
    reader = READERS.get(type_.kind)
    if reader is not None:
        _read_itself(reader, value)
    elif type_.kind == "struct":
        _struct(type_, value)
    elif type_.kind == "map":
        _map(type_, value)
    elif type_.kind == "slice":
        _slice(type_, value)
    elif type_.kind != "interface":
        _scalar(type_, value)


def _read_itself(reader: Any, value: Any) -> None:
    try:
        reader(value)
    except Mismatch as found:
        raise _Misfit(f"json: cannot unmarshal {found.value} into Go value of type {found.type}") from None
    except Refusal as found:
        raise _Misfit(str(found)) from None


def _struct(type_: Type, value: Any) -> None:
    if not isinstance(value, dict):
        raise _Misfit(f"cannot restore struct from: {kind_name(value)}")
    for name, field in types.fields(type_.struct).items():
        _convert(field.type, value.get(name))


def _map(type_: Type, value: Any) -> None:
    if not isinstance(value, dict):
        raise _Misfit(f"cannot restore map from {kind_name(value)}")
    assert type_.member is not None, "maps have members"
    for each in value.values():
        _convert(type_.member, each)


def _slice(type_: Type, value: Any) -> None:
    assert type_.member is not None, "slices have members"
    if isinstance(value, str) and type_.member.kind == "uint8":
        if complaint := base64_complaint(value):
            raise _Misfit(f"error decoding from json: {complaint}")
        return
    if not isinstance(value, list):
        raise _Misfit(f"cannot restore slice from {kind_name(value)}")
    for each in value:
        _convert(type_.member, each)


def _scalar(type_: Type, value: Any) -> None:
    kind, found = type_.kind, kind_name(value)
    if found == kind:
        return
    numeric = kind in INTEGERS or kind == "float64"
    if numeric and (found == "int64" or (found == "float64" and (kind == "float64" or value == int(value)))):
        return
    if (numeric and found == "float64") or (kind == "string" and found == "int64"):
        raise _Misfit(f"cannot convert {found} to {type_.text}")
    raise _Misfit(f"unrecognized type: {kind}")
