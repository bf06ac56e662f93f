"""Objects to and from JSON bytes and plain trees.

Decoding checks types, ranges and forms and drops unknown fields; a null counts as absent, as it does to Go. Encoding
leaves absent fields out and begins every object with ``{"apiVersion":"...","kind":"...","metadata":{``. Both run in C
and are prepared once per type.

Errors: ``MalformedJson`` when the bytes are no JSON, ``WrongType`` when they do not fit the type; both are CodecError.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.api.custom import CustomObject, content_of
from podkeeper.api.meta.scalars import BASE64, RFC3339, RFC3339_MICRO
from podkeeper.api.meta.v1 import ObjectMeta
from podkeeper.api.quantity import Quantity
from podkeeper.api.shapes import unknown_fields, without_nulls

__all__ = (
    "CodecError",
    "MalformedJson",
    "WrongType",
    "decode",
    "encode",
    "from_tree",
    "load_class",
    "parse",
    "struct_class",
    "to_tree",
    "unknown_fields",
)

T = TypeVar("T", bound=msgspec.Struct)


class CodecError(ValueError):
    """Bytes or a tree that are not an object of the kind asked for."""


class MalformedJson(CodecError):
    """The bytes are not JSON: cut off, not UTF-8, nested too deeply, or followed by something else."""


class WrongType(CodecError):
    """A value does not fit its field. ``path`` is the field (``spec.containers[0].name``, empty for the whole object; a
    map's key shows as ``[...]``), ``reason`` what is wrong with it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path, self.reason = path, reason


def parse(data: bytes) -> Any:
    """The plain tree of JSON bytes; whole numbers stay exact however large. Raises MalformedJson, and WrongType for a
    number out of range."""
    try:
        return msgspec.json.decode(data)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedJson(str(error)) from error


def decode(kind: type[T], data: bytes) -> T:
    """The object in JSON bytes. Raises MalformedJson or WrongType."""
    if kind is CustomObject:
        return from_tree(kind, parse(data))
    try:
        return _decoder(kind).decode(data)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return from_tree(kind, parse(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedJson(str(error)) from error


def encode(obj: msgspec.Struct) -> bytes:
    """The object as JSON bytes."""
    if type(obj) is CustomObject:
        return _encode_custom(obj)
    return _ENCODER.encode(obj)


def from_tree(kind: type[T], tree: Any) -> T:
    """The object in a plain tree. Raises WrongType."""
    if kind is CustomObject:
        return _custom_from_tree(tree)  # type: ignore[return-value]
    try:
        return msgspec.convert(tree, kind, dec_hook=_read_custom)
    except msgspec.ValidationError:
        pass  # perhaps only because of a null, which most fields' types do not take
    except RecursionError as error:
        raise WrongType("", "nested too deeply") from error
    try:
        return msgspec.convert(without_nulls(kind, tree), kind, dec_hook=_read_custom)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from error
    except RecursionError as error:
        raise WrongType("", "nested too deeply") from error


def to_tree(obj: msgspec.Struct) -> dict[str, Any]:
    """The object as a plain tree of dicts, lists and scalars, which the caller may change."""
    tree: dict[str, Any] = msgspec.json.decode(encode(obj))
    return tree


def struct_class(resource: Resource) -> type[msgspec.Struct]:
    """The class of a resource's objects; ``CustomObject`` for those of a custom resource."""
    return load_class(resource.type_name) if resource.type_name else CustomObject


def _custom_from_tree(tree: Any) -> CustomObject:
    if not isinstance(tree, dict):
        raise WrongType("", f"Expected `object`, got `{type(tree).__name__}`")
    for name in ("apiVersion", "kind"):
        if not isinstance(tree.get(name, ""), str):
            raise WrongType(name, f"Expected `str`, got `{type(tree[name]).__name__}`")
    try:
        metadata = from_tree(ObjectMeta, tree.get("metadata") or {})
    except WrongType as error:
        raise WrongType(f"metadata.{error.path}" if error.path else "metadata", error.reason) from error
    head = {"api_version": tree.get("apiVersion", ""), "kind": tree.get("kind", "")}
    return CustomObject(**head, metadata=metadata, content=content_of(tree))


@cache
def load_class(type_name: str) -> type[msgspec.Struct]:
    """The class that a row's ``type_name`` locates."""
    module, name = type_name.split(":")
    cls: type[msgspec.Struct] = getattr(import_module(module), name)
    return cls


def _read_custom(kind: type[Any], value: Any) -> Any:
    if kind is Quantity and type(value) in (str, int, float):
        return Quantity.parse(value)
    raise ValueError(f"Expected a quantity, got `{type(value).__name__}`")


def _write_custom(value: Any) -> str:
    if isinstance(value, Quantity):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_ENCODER = msgspec.json.Encoder(enc_hook=_write_custom)
_SORTING = msgspec.json.Encoder(order="deterministic")


def _encode_custom(obj: CustomObject) -> bytes:
    """Members sorted, after what every object begins with: two clients that mean the same write the same bytes."""
    head = _SORTING.encode({"apiVersion": obj.api_version, "kind": obj.kind, "metadata": obj.metadata})
    return head[:-1] + b"," + _SORTING.encode(obj.content)[1:] if obj.content else head


@cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=_read_custom)


_PLACE = re.compile(r"^(?P<reason>.*?) - at `(?:key in )?`?\$\.?(?P<path>[^`]*)`$", re.DOTALL)


_FORMS = {
    f"Expected `str` matching regex {RFC3339!r}": "Expected a time in RFC 3339 form, such as `2006-01-02T15:04:05Z`",
    f"Expected `str` matching regex {RFC3339_MICRO!r}": "Expected a time with six digits of a second",
    f"Expected `str` matching regex {BASE64!r}": "Expected base64, got illegal base64 data",
}


def _wrong_type(error: msgspec.ValidationError) -> WrongType:
    found = _PLACE.match(str(error))
    path, reason = (found["path"], found["reason"]) if found else ("", str(error))
    return WrongType(path, _FORMS.get(reason, reason))
