"""Conversions between types, and ``type`` and ``dyn``.

What texts of numbers, durations and times look like is Go's, and so are the messages about those that don't.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from podkeeper.api.cel.libraries.operators import checked_int, checked_timestamp, checked_uint
from podkeeper.api.cel.library import Library, type_of_value
from podkeeper.api.cel.times import format_duration, format_timestamp, parse_duration, parse_timestamp
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import Duration, EvaluationError, Timestamp, UInt, Value

conversions = Library("conversions")

_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))")
_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


@conversions.function("dyn(T) -> dyn")
def dyn(value: Value) -> Value:
    return value


@conversions.function("type(T) -> type(T)")
def type_(value: Value) -> Type:
    return type_of_value(value)


@conversions.function(
    "bool(bool) -> bool",
    "int(int) -> int",
    "uint(uint) -> uint",
    "double(double) -> double",
    "string(string) -> string",
    "bytes(bytes) -> bytes",
    "duration(duration) -> duration",
    "timestamp(timestamp) -> timestamp",
)
def same(value: Value) -> Value:
    return value


@conversions.function("bool(string) -> bool")
def bool_of_string(text: str) -> bool:
    if text not in _BOOLS:
        raise _invalid("ParseBool", text)
    return _BOOLS[text]


@conversions.function("int(uint) -> int")
def int_of_uint(value: UInt) -> int:
    return checked_int(int(value))


@conversions.function("int(double) -> int")
def int_of_double(value: float) -> int:
    """Cuts the fraction off. The ends of int64 themselves are refused, since doubles near them are not exact."""
    if not -(2.0**63) < value < 2.0**63:
        raise EvaluationError("integer overflow")
    return int(value)


@conversions.function("int(string) -> int")
def int_of_string(text: str) -> int:
    if not _INT.fullmatch(text, 0, 64):
        raise _invalid("ParseInt", text)
    if abs(int(text)) > 2**63 or int(text) == 2**63:
        raise _out_of_range("ParseInt", text)
    return int(text)


@conversions.function("int(timestamp) -> int")
def int_of_timestamp(value: Timestamp) -> int:
    return value.nanos // 10**9


@conversions.function("int(duration) -> int")
def int_of_duration(value: Duration) -> int:
    return value.nanos


@conversions.function("uint(int) -> uint")
def uint_of_int(value: int) -> UInt:
    return checked_uint(value)


@conversions.function("uint(double) -> uint")
def uint_of_double(value: float) -> UInt:
    if not -1.0 < value < 2.0**64:
        raise EvaluationError("unsigned integer overflow")
    return checked_uint(int(value))


@conversions.function("uint(string) -> uint")
def uint_of_string(text: str) -> UInt:
    if not _INT.fullmatch(text, 0, 64) or text[0] in "+-":
        raise _invalid("ParseUint", text)
    if int(text) >= 2**64:
        raise _out_of_range("ParseUint", text)
    return UInt(text)


@conversions.function("double(int) -> double", "double(uint) -> double")
def double_of_int(value: int) -> float:
    return float(value)


@conversions.function("double(string) -> double")
def double_of_string(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise _invalid("ParseFloat", text)
    value = float(text)
    if math.isinf(value) and "i" not in text.lower():
        raise _out_of_range("ParseFloat", text)
    return value


@conversions.function("string(bool) -> string")
def string_of_bool(value: bool) -> str:
    return "true" if value else "false"


@conversions.function("string(int) -> string", "string(uint) -> string")
def string_of_int(value: int) -> str:
    return str(int(value))


@conversions.function("string(double) -> string")
def string_of_double(value: float) -> str:
    """As Go prints ``%g``: an exponent from a million on."""
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = len(digits) + exponent - 1
    if -4 <= power < 6:
        return plain_double(value)
    text = "".join(map(str, digits))
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02}"


def plain_double(value: float) -> str:
    """All digits and no exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@conversions.function("string(bytes) -> string")
def string_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from error


@conversions.function("string(timestamp) -> string")
def string_of_timestamp(value: Timestamp) -> str:
    return format_timestamp(value)


@conversions.function("string(duration) -> string")
def string_of_duration(value: Duration) -> str:
    return format_duration(value)


@conversions.function("bytes(string) -> bytes")
def bytes_of_string(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


@conversions.function("timestamp(int) -> timestamp")
def timestamp_of_int(seconds: int) -> Timestamp:
    return checked_timestamp(seconds * 10**9)


@conversions.function("timestamp(string) -> timestamp")
def timestamp_of_string(text: str) -> Timestamp:
    return parse_timestamp(text)


@conversions.function("duration(int) -> duration")
def duration_of_int(nanos: int) -> Duration:
    return Duration(nanos)


@conversions.function("duration(string) -> duration")
def duration_of_string(text: str) -> Duration:
    return parse_duration(text)


def _invalid(function: str, text: str) -> EvaluationError:
    return EvaluationError(f'strconv.{function}: parsing "{text}": invalid syntax')


def _out_of_range(function: str, text: str) -> EvaluationError:
    return EvaluationError(f'strconv.{function}: parsing "{text}": value out of range')
