"""Types whose JSON is not an object of their fields: quantities, times, raw JSON, unions of JSON types.

Each is a pair of functions: the message's bytes of a JSON value, and the JSON value of a message's bytes (None for what
JSON writes as null).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from podkeeper.api.protobuf.wire import (
    BYTES,
    FIXED64,
    VARINT,
    ProtobufError,
    prefixed,
    read_length,
    read_varint,
    signed32,
    signed64,
    skip,
    tag,
    varint,
)
from podkeeper.api.quantity import Quantity

MAGIC = b"k8s\0"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Go's zero time, which JSON writes as null.
_ZERO_TIME = -62135596800
_FIRST_BYTES, _THIRD_BYTES = tag(1, BYTES), tag(3, BYTES)
_FIRST_NUMBER, _SECOND_NUMBER = tag(1, VARINT), tag(2, VARINT)


class Value(NamedTuple):
    """How a value is written and read. ``missing`` is the value of a field that nobody set, as JSON."""

    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    missing: Any = None


def parts(data: bytes) -> dict[int, Any]:
    """The fields of a small message by number: integers and bytes, the last of each."""
    found: dict[int, Any] = {}
    position, end = 0, len(data)
    while position < end:
        key, position = read_varint(data, position, end)
        number, kind = key >> 3, key & 7
        if not number:
            raise ProtobufError("proto: illegal tag 0")
        if kind == VARINT:
            found[number], position = read_varint(data, position, end)
        elif kind == BYTES:
            start, position = read_length(data, position, end)
            found[number] = data[start:position]
        else:
            position = skip(data, position, end, kind)
            if kind == FIXED64:
                found[number] = None
    return found


def _number(found: Mapping[int, Any], number: int) -> int:
    value = found.get(number, 0)
    if not isinstance(value, int):
        raise ProtobufError(f"proto: wrong wireType for field {number}")
    return value


def _bytes(found: Mapping[int, Any], number: int) -> bytes:
    value = found.get(number, b"")
    if not isinstance(value, bytes):
        raise ProtobufError(f"proto: wrong wireType for field {number}")
    return value


@lru_cache(maxsize=1024)
def _write_quantity(value: str | int | float) -> bytes:
    return prefixed(_FIRST_BYTES, str(Quantity.parse(value)).encode())


@lru_cache(maxsize=1024)
def _read_quantity(data: bytes) -> str:
    text = str(_bytes(parts(data), 1), "utf-8")
    return str(Quantity.parse(text)) if text else "0"


@lru_cache(maxsize=2048)
def _microseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def _timestamp(seconds: int, nanos: int) -> bytes:
    if seconds == _ZERO_TIME and not nanos:
        return b""
    return _FIRST_NUMBER + varint(seconds) + _SECOND_NUMBER + varint(nanos)


def _write_time(text: str) -> bytes:
    return _timestamp(_microseconds(text) // 1_000_000, 0)


def _write_micro_time(text: str) -> bytes:
    seconds, micros = divmod(_microseconds(text), 1_000_000)
    return _timestamp(seconds, micros * 1000)


def _read_moment(data: bytes, precision: str) -> str | None:
    """RFC 3339, to ``seconds`` (the rest is not even looked at, as Go does not) or ``microseconds``."""
    if not data:
        return None
    found = parts(data)
    seconds = signed64(_number(found, 1))
    nanos = signed32(_number(found, 2)) if precision == "microseconds" else 0
    if seconds == _ZERO_TIME and not nanos:
        return None
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


@lru_cache(maxsize=1024)
def _read_time(data: bytes) -> str | None:
    return _read_moment(data, "seconds")


def _read_micro_time(data: bytes) -> str | None:
    return _read_moment(data, "microseconds")


def _write_int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return _FIRST_NUMBER + b"\1" + _SECOND_NUMBER + b"\0" + prefixed(_THIRD_BYTES, value.encode())
    if not -(1 << 31) <= value < 1 << 31:
        raise ProtobufError(f"{value} does not fit into 32 bits")
    return _FIRST_NUMBER + b"\0" + _SECOND_NUMBER + varint(value) + _THIRD_BYTES + b"\0"


def _read_int_or_string(data: bytes) -> int | str:
    found = parts(data)
    if _number(found, 1):
        return str(_bytes(found, 3), "utf-8")
    return signed32(_number(found, 2))


def _write_raw_json(value: Any) -> bytes:
    return prefixed(_FIRST_BYTES, msgspec.json.encode(value))


def _read_raw_json(data: bytes) -> Any:
    raw = _bytes(parts(data), 1)
    if raw.startswith(MAGIC):
        from podkeeper.api.protobuf.bodies import decode  # an object within an object, as in a WatchEvent

        return decode(raw)
    return msgspec.json.decode(raw) if raw else None


#: Go's durations: "1h2m3.5s", "1.5ms", "-2us".
_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def _write_duration(text: str) -> bytes:
    plain = text.lstrip("+-")
    if plain != "0" and ("".join(map("".join, _DURATION.findall(plain))) != plain or not plain):
        raise ProtobufError(f"{text!r} is no duration")
    nanoseconds = sum(round(float(number) * _UNITS[unit]) for number, unit in _DURATION.findall(plain))
    return _FIRST_NUMBER + varint(-nanoseconds if text.startswith("-") else nanoseconds)


def _read_duration(data: bytes) -> str:
    nanoseconds = signed64(_number(parts(data), 1))
    sign, rest = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    if 0 < rest < 10**9:
        unit = next(unit for unit in ("ms", "µs", "ns") if rest >= _UNITS[unit])
        return sign + _fraction(rest, _UNITS[unit]) + unit
    seconds = f"{_fraction(rest % _UNITS['m'], _UNITS['s'])}s"
    hours, minutes = rest // _UNITS["h"], rest // _UNITS["m"] % 60
    return sign + (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds


def _fraction(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}}".rstrip("0").rstrip(".") if rest else str(whole)


def _write_strings(values: list[str]) -> bytes:
    return b"".join([prefixed(_FIRST_BYTES, value.encode()) for value in values])


def _read_strings(data: bytes) -> list[str]:
    found, position, end = [], 0, len(data)
    while position < end:
        key, position = read_varint(data, position, end)
        if key == _FIRST_BYTES[0]:
            start, position = read_length(data, position, end)
            found.append(str(data[start:position], "utf-8"))
        else:
            position = skip(data, position, end, key & 7)
    return found


VALUES: Mapping[str, Value] = {
    "Duration": Value(_write_duration, _read_duration, "0s"),
    "IntOrString": Value(_write_int_or_string, _read_int_or_string, 0),
    "MicroTime": Value(_write_micro_time, _read_micro_time),
    "Quantity": Value(_write_quantity, _read_quantity, "0"),
    "RawJSON": Value(_write_raw_json, _read_raw_json),
    "Strings": Value(_write_strings, _read_strings),
    "Time": Value(_write_time, _read_time),
}


class Union(NamedTuple):
    """A message that JSON writes as one of its fields: how its fields come of a JSON value, and the value of them."""

    open: Callable[[Any], dict[str, Any]]
    close: Callable[[dict[str, Any]], Any]


def _schema_or(member: str) -> Union:
    def open_(value: Any) -> dict[str, Any]:
        return {member: value} if isinstance(value, list) else {"schema": value}

    return Union(open_, lambda fields: fields.get(member) or fields.get("schema"))


def _open_bool(value: Any) -> dict[str, Any]:
    return {"allows": value} if isinstance(value, bool) else {"allows": True, "schema": value}


#: By the last part of the message's name.
UNIONS: Mapping[str, Union] = {
    "JSONSchemaPropsOrArray": _schema_or("jSONSchemas"),
    "JSONSchemaPropsOrBool": Union(_open_bool, lambda fields: fields.get("schema", fields["allows"])),
    "JSONSchemaPropsOrStringArray": _schema_or("property"),
}
