"""The protobuf wire format: a message's bytes as (field number, value) pairs. Values are ints or bytes.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no protobuf message."""


def fields(data: memoryview) -> Iterator[tuple[int, int | float | memoryview]]:
    """Every field of a message in its order. Raises WireError."""
    position, end = 0, len(data)
    while position < end:
        key, position = varint(data, position)
        number, kind = key >> 3, key & 7
        value: int | float | memoryview
        if kind == _VARINT:
            value, position = varint(data, position)
        elif kind == _BYTES:
            length, position = varint(data, position)
            if position + length > end:
                raise WireError("unexpected EOF")
            value = data[position : position + length]
            position += length
        elif kind in (_FIXED64, _FIXED32):
            form, length = ("<d", 8) if kind == _FIXED64 else ("<f", 4)
            if position + length > end:
                raise WireError("unexpected EOF")
            (value,) = struct.unpack_from(form, data, position)
            position += length
        else:
            raise WireError(f"illegal wireType {kind}")
        if not number:
            raise WireError("illegal tag 0")
        yield number, value


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """An unsigned integer and where it ends."""
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise WireError("unexpected EOF" if position >= len(data) else "integer overflow")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7


def signed(value: int) -> int:
    """A varint as the two's complement number that it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value
