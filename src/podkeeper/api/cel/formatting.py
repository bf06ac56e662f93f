"""``"%d of %s".format([1, x])``: the clauses s, d, f, e, b, o, x, X and %%, with a precision for f and e."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from podkeeper.api.cel.library import type_of_value
from podkeeper.api.cel.times import format_duration, format_timestamp
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import (
    LISTS,
    MAPS,
    Duration,
    EvaluationError,
    Timestamp,
    UInt,
    Value,
    checked_length,
    find,
)

_CLAUSE = re.compile(r"%(?:%|(?:\.(\d*))?(.?))", re.DOTALL)
_DEFAULT_PRECISION = 6
_MAX_PRECISION = 1000
#: No list or map prints as more characters than this.
_MOST_PRINTED = 500_000


def formatted(text: str, values: list[Value]) -> str:
    """The text with every clause replaced. Raises EvaluationError, as for one argument too few."""
    position, length = 0, len(text)

    def replaced(match: re.Match[str]) -> str:
        nonlocal position, length
        if match.group() == "%%":
            return "%"
        precision, verb = match.groups()
        if verb not in _CLAUSES:
            raise _error(f'unrecognized formatting clause "{verb}"' if verb else "unexpected end of string")
        if position >= len(values):
            raise _error(f"index {position} out of range")
        position += 1
        printed = _CLAUSES[verb](values[position - 1], _precision(precision))
        length += len(printed)
        checked_length(length)
        return printed

    return _CLAUSE.sub(replaced, text)


def _precision(text: str | None) -> int:
    if text is None:
        return _DEFAULT_PRECISION
    if not text or len(text) > 6 or int(text) > _MAX_PRECISION:
        raise _error(f'could not parse precision: "{text}"')
    return int(text)


def _error(reason: str) -> EvaluationError:
    return EvaluationError(f"could not parse formatting string: {reason}")


def _unfit(clause: str, value: Value) -> EvaluationError:
    return EvaluationError(f"error during formatting: {clause}, was given {type_of_value(value).name}")


def string_of(value: Value, _precision: int = 0) -> str:
    """What ``%s`` prints: lists in brackets, maps in braces in the order of their keys, strings as they are."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return _string_of_rest(value)


def _string_of_rest(value: Value) -> str:
    if isinstance(value, Duration):
        return format_duration(value)
    if isinstance(value, Timestamp):
        return format_timestamp(value)
    if isinstance(value, Type):
        return value.name
    if isinstance(value, LISTS):
        return _joined("[", [string_of(each) for each in value], "]")
    if isinstance(value, MAPS):
        entries = sorted((string_of(key), string_of(find(value, key))) for key in value)
        return _joined("{", [f"{key}: {member}" for key, member in entries], "}")
    raise _unfit(
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, "
        "and timestamps",
        value,
    )


def _joined(opening: str, parts: list[str], closing: str) -> str:
    length = sum(map(len, parts))
    if length > _MOST_PRINTED:
        raise EvaluationError(f"a list or map whose text has more than {_MOST_PRINTED} characters")
    return f"{opening}{', '.join(parts)}{closing}"


def _double(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(value, "NaN")
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal(value: Value, _precision: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and not value.is_integer():
        return _double(value)
    raise _unfit("decimal clause can only be used on integers", value)


def _real(letter: str, clause: str) -> Callable[[Value, int], str]:
    def printed(value: Value, precision: int) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _unfit(f"{clause} clause can only be used on doubles", value)
        number = float(value)
        if number != number or abs(number) == float("inf"):
            return _double(number)
        return f"{number:.{precision}{letter}}"

    return printed


def _binary(value: Value, _precision: int) -> str:
    if isinstance(value, int):
        return f"{int(value):b}"
    raise _unfit("only integers and bools can be formatted as binary", value)


def _octal(value: Value, _precision: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value):o}"
    raise _unfit("octal clause can only be used on integers", value)


def _hexadecimal(upper: bool) -> Callable[[Value, int], str]:
    def printed(value: Value, _precision: int) -> str:
        if isinstance(value, int | UInt) and not isinstance(value, bool):
            text = f"{int(value):x}"
        elif isinstance(value, str | bytes):
            text = (value.encode() if isinstance(value, str) else value).hex()
        else:
            raise _unfit("only integers, byte buffers, and strings can be formatted as hex", value)
        return text.upper() if upper else text

    return printed


_CLAUSES: dict[str, Callable[[Value, int], str]] = {
    "s": string_of,
    "d": _decimal,
    "f": _real("f", "fixed-point"),
    "e": _real("e", "scientific"),
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal(upper=False),
    "X": _hexadecimal(upper=True),
}
