"""The protobuf wire format: varints, tags, and how to pass over what is not known.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)

_UINT64 = (1 << 64) - 1


class ProtobufError(ValueError):
    """Bytes that are no object in protobuf, or an object that protobuf cannot hold.

    ``kind`` and ``version`` are what the bytes say to be, if they could be read that far."""

    kind = version = ""


def _long_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT = tuple(_long_varint(value) for value in range(2048))


def varint(value: int) -> bytes:
    """An integer below 2^64. Negative numbers are written as their two's complement of 64 bits."""
    return _SHORT[value] if 0 <= value < 2048 else _long_varint(value & _UINT64)


def tag(number: int, kind: int) -> bytes:
    """What stands before a field's value."""
    return varint(number << 3 | kind)


def prefixed(head: bytes, data: bytes) -> bytes:
    """A tag, the length, the data."""
    size = len(data)
    return head + (_SHORT[size] if size < 2048 else _long_varint(size)) + data


def read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """The unsigned integer at ``position`` and where it ends."""
    result = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _UINT64, position
        shift += 7
        if shift >= 64:
            raise ProtobufError("proto: integer overflow")
    raise ProtobufError("unexpected EOF")


def read_length(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Where the bytes begin whose length stands at ``position``, and where they end."""
    if position < end and data[position] < 0x80:
        start = position + 1
        stop = start + data[position]
    else:
        length, start = read_varint(data, position, end)
        if length >> 63:
            raise ProtobufError("proto: negative length found during unmarshaling")
        stop = start + length
    if stop > end:
        raise ProtobufError("unexpected EOF")
    return start, stop


def signed32(value: int) -> int:
    """The low 32 bits of a varint as a signed number, which is what Go keeps of it."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def signed64(value: int) -> int:
    """A varint as a signed number."""
    return value - (1 << 64) if value >> 63 else value


def skip(data: bytes, position: int, end: int, kind: int) -> int:
    """Where a field ends whose tag ends at ``position``. Groups, which nobody writes, are passed over whole."""
    depth = 0
    while True:
        if kind == VARINT:
            _, position = read_varint(data, position, end)
        elif kind == BYTES:
            _, position = read_length(data, position, end)
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
        elif kind == START_GROUP:
            depth += 1
        elif kind == END_GROUP:
            if not depth:
                raise ProtobufError("proto: unexpected end of group")
            depth -= 1
        else:
            raise ProtobufError(f"proto: illegal wireType {kind}")
        if position > end:
            raise ProtobufError("unexpected EOF")
        if not depth:
            return position
        key, position = read_varint(data, position, end)
        kind = key & 7
