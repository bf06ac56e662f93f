"""Fields of protobuf as gnostic's messages are written: both versions of OpenAPI are. What is empty is left out."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_VARINT, _FIXED_64, _LENGTH_DELIMITED = 0, 1, 2


def extensions(number: int, tree: Mapping[str, Any]) -> Iterable[bytes]:
    """The members of a tree whose names begin with ``x-``."""
    for name, value in tree.items():
        if name.startswith("x-"):
            yield named(number, name, text(2, yaml(value)))


def yaml(value: Any) -> str:
    """A value of any kind, as text."""
    return msgspec.json.encode(value).decode()  # JSON is YAML


def number(place: int, value: float) -> bytes:
    """A double."""
    return _varint(place << 3 | _FIXED_64) + struct.pack("<d", value)


def count(number: int, value: int) -> bytes:
    """An int64."""
    return _varint(number << 3 | _VARINT) + _varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)


def named(number: int, name: str, value: bytes) -> bytes:
    """A pair of a name and a message."""
    return field(number, text(1, name) + field(2, value))


def text(number: int, value: str) -> bytes:
    """A string."""
    return field(number, value.encode()) if value else b""


def true(number: int, value: bool) -> bytes:
    """A bool."""
    return _varint(number << 3 | _VARINT) + b"\x01" if value else b""


def field(number: int, payload: bytes) -> bytes:
    """A message, or bytes."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
