"""JSON trees to messages: one function per message, put together from the table when the message is first met.

As Go's generated code does it: fields in the order of their numbers; a field that is no pointer is written also when it
is empty; map entries sorted by key. The same object therefore always gives the same bytes.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from podkeeper.api.protobuf.table import Field, fields
from podkeeper.api.protobuf.values import UNIONS, VALUES
from podkeeper.api.protobuf.wire import BYTES, FIXED64, VARINT, ProtobufError, prefixed, tag, varint

Encode = Callable[[Any], bytes]
#: Gives a field's tag and value.
Write = Callable[[Any], bytes]


@cache
def encoder(message: str) -> Encode:
    """The bytes of a message's tree. Raises ProtobufError, or what Python raises for a tree of wrong types."""
    known = fields(message)
    empty = [_missing(field) for field in known]
    places = {field.name: (place, _field_writer(field)) for place, field in enumerate(known) if field.form != "="}
    embedded = [(place, _field_writer(field)) for place, field in enumerate(known) if field.form == "="]
    find = places.get

    def encode(tree: Any) -> bytes:
        parts = empty.copy()
        for name, value in tree.items():
            if value is not None and (found := find(name)) is not None:
                place, write = found
                parts[place] = write(value)
        for place, write in embedded:
            parts[place] = write(tree)
        return b"".join(parts)

    union = UNIONS.get(message.rpartition(".")[2])
    return encode if union is None else lambda value: encode(union.open(value))


def _missing(field: Field) -> bytes:
    """What is written for a field that the tree does not have."""
    if field.pointer or field.form in ("[", "{") or field.type in ("bytes", "Strings"):
        return b""
    scalar = {"string": "", "bool": False, "double": 0.0, "int32": 0, "int64": 0}
    write = _writer(field.type, field.number)
    if field.type in scalar:
        return write(scalar[field.type])
    value = VALUES.get(field.type)
    if value is None:
        return write({})
    return prefixed(tag(field.number, BYTES), b"") if value.missing is None else write(value.missing)


@cache
def _null_member(type_: str, number: int) -> bytes:
    return _missing(Field("", number, type_))


def _null(type_: str, number: int) -> Callable[[], bytes]:
    """What null among the members of a list or map is: an empty one. Not before it is needed, as messages nest."""
    return partial(_null_member, type_, number)


def _field_writer(field: Field) -> Write:
    if field.form == "[":
        return _list_writer(field)
    if field.form == "{":
        return _map_writer(field)
    return _writer(field.type, field.number)


def _list_writer(field: Field) -> Write:
    write = _writer(field.type, field.number)
    null = _null(field.type, field.number)
    return lambda values: b"".join([null() if value is None else write(value) for value in values])


def _map_writer(field: Field) -> Write:
    head = tag(field.number, BYTES)
    write_key, write_value = _writer("string", 1), _writer(field.type, 2)
    null = _null(field.type, 2)

    def write(entries: Any) -> bytes:
        get = entries.get
        return b"".join(
            [
                prefixed(head, write_key(key) + (null() if (value := get(key)) is None else write_value(value)))
                for key in sorted(entries)
            ]
        )

    return write


def _writer(type_: str, number: int) -> Write:
    if type_ in _SCALARS:
        return _SCALARS[type_](number)
    head = tag(number, BYTES)
    if type_ in VALUES:
        encode_value = VALUES[type_].write
        return lambda value: prefixed(head, encode_value(value))
    return _message_writer(head, type_)


def _message_writer(head: bytes, message: str) -> Write:
    """Finds the message's encoder only when it is needed: a schema holds schemas."""
    encode: Encode | None = None

    def write(tree: Any) -> bytes:
        nonlocal encode
        if encode is None:
            encode = encoder(message)
        return prefixed(head, encode(tree))

    return write


def _string_writer(number: int) -> Write:
    head = tag(number, BYTES)
    return lambda text: prefixed(head, text.encode())


def _bytes_writer(number: int) -> Write:
    head = tag(number, BYTES)
    return lambda text: prefixed(head, base64.b64decode(text, validate=True))


def _bool_writer(number: int) -> Write:
    head = tag(number, VARINT)
    return {False: head + b"\0", True: head + b"\1"}.__getitem__


def _double_writer(number: int) -> Write:
    head = tag(number, FIXED64)
    return lambda value: head + struct.pack("<d", value)


def _int_writer(bits: int) -> Callable[[int], Write]:
    limit = 1 << bits - 1

    def make(number: int) -> Write:
        head = tag(number, VARINT)

        def write(value: int) -> bytes:
            if not -limit <= value < limit:
                raise ProtobufError(f"{value} does not fit into {bits} bits")
            return head + varint(value)

        return write

    return make


_SCALARS: dict[str, Callable[[int], Write]] = {
    "bool": _bool_writer,
    "bytes": _bytes_writer,
    "double": _double_writer,
    "int32": _int_writer(32),
    "int64": _int_writer(64),
    "string": _string_writer,
}
