"""The operators and the functions of the language itself: arithmetic, comparison, membership, sizes.

Integers have 64 bits and say so when a result has more. Numbers of different types compare by their amounts.
``_&&_``, ``_||_``, ``_?_:_`` and indexing are declared here and run by the evaluator, which knows when not to.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from podkeeper.api.cel.library import Library
from podkeeper.api.cel.values import (
    LISTS,
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    MISSING,
    Concatenation,
    Duration,
    EvaluationError,
    ListValue,
    NoSuchOverload,
    Timestamp,
    UInt,
    Value,
    equal,
    find,
)

operators = Library("operators")

#: Lists with fewer members are copied when they are added up.
_SHORT = 32
#: The first and last nanosecond of the years 1 to 9999.
MIN_TIME, MAX_TIME = -62135596800 * 10**9, 253402300800 * 10**9 - 1


def checked_int(amount: int) -> int:
    """The amount, if an int64 holds it."""
    if MIN_INT <= amount <= MAX_INT:
        return amount
    raise EvaluationError("integer overflow")


def checked_uint(amount: int) -> UInt:
    """The amount, if a uint64 holds it."""
    if 0 <= amount <= MAX_UINT:
        return UInt(amount)
    raise EvaluationError("unsigned integer overflow")


def checked_duration(nanos: int) -> Duration:
    if MIN_INT <= nanos <= MAX_INT:
        return Duration(nanos)
    raise EvaluationError("duration overflow")


def checked_timestamp(nanos: int, offset: int = 0) -> Timestamp:
    if MIN_TIME <= nanos <= MAX_TIME:
        return Timestamp(nanos, offset)
    raise EvaluationError("timestamp overflow")


def _unreachable(*_values: Value) -> Value:
    raise NoSuchOverload


operators.function("_&&_(bool, bool) -> bool", "_||_(bool, bool) -> bool", "_?_:_(bool, T, T) -> T")(_unreachable)
operators.function("_[_](list(T), int) -> T", "_[_](map(K, V), K) -> V")(_unreachable)


@operators.function("@not_strictly_false(bool) -> bool")
def not_strictly_false(value: bool) -> bool:
    return value


@operators.function("!_(bool) -> bool")
def negation(value: bool) -> bool:
    return not value


@operators.function("_==_(T, T) -> bool")
def equals(left: Value, right: Value) -> bool:
    return equal(left, right)


@operators.function("_!=_(T, T) -> bool")
def not_equals(left: Value, right: Value) -> bool:
    return not equal(left, right)


def _compare(sign: str, compare: Callable[[Any, Any], bool]) -> None:
    """Declares an order. Bytes and strings compare as Go's do, by their bytes, which is the order of code points."""
    numbers = ("int", "uint", "double")
    mixed = [f"_{sign}_({one}, {other}) -> bool" for one in numbers for other in numbers]
    same = [f"_{sign}_({name}, {name}) -> bool" for name in ("bool", "string", "bytes", "timestamp", "duration")]
    operators.function(*mixed, *same)(compare)


_compare("<", operator.lt)
_compare("<=", operator.le)
_compare(">", operator.gt)
_compare(">=", operator.ge)


@operators.function("_+_(int, int) -> int")
def add_int(left: int, right: int) -> int:
    amount = left + right
    return amount if MIN_INT <= amount <= MAX_INT else checked_int(amount)


@operators.function("_+_(uint, uint) -> uint")
def add_uint(left: UInt, right: UInt) -> UInt:
    return checked_uint(int(left) + int(right))


@operators.function("_+_(double, double) -> double", "_+_(string, string) -> string", "_+_(bytes, bytes) -> bytes")
def add_plain(left: Any, right: Any) -> Any:
    return left + right


@operators.function("_+_(list(T), list(T)) -> list(T)")
def add_list(left: Any, right: Any) -> Any:
    if isinstance(left, ListValue):
        return left.plus(right)
    return [*left, *right] if len(left) + len(right) < _SHORT else Concatenation(left, right)


@operators.function("_+_(duration, duration) -> duration")
def add_duration(left: Duration, right: Duration) -> Duration:
    return checked_duration(left.nanos + right.nanos)


@operators.function("_+_(timestamp, duration) -> timestamp", "_+_(duration, timestamp) -> timestamp")
def add_timestamp(left: Any, right: Any) -> Timestamp:
    moment = left if isinstance(left, Timestamp) else right
    return checked_timestamp(left.nanos + right.nanos, moment.offset)


@operators.function("_-_(int, int) -> int")
def subtract_int(left: int, right: int) -> int:
    return checked_int(left - right)


@operators.function("_-_(uint, uint) -> uint")
def subtract_uint(left: UInt, right: UInt) -> UInt:
    return checked_uint(int(left) - int(right))


@operators.function("_-_(double, double) -> double")
def subtract_double(left: float, right: float) -> float:
    return left - right


@operators.function("_-_(duration, duration) -> duration", "_-_(timestamp, timestamp) -> duration")
def subtract_times(left: Any, right: Any) -> Duration:
    return checked_duration(left.nanos - right.nanos)


@operators.function("_-_(timestamp, duration) -> timestamp")
def subtract_duration(left: Timestamp, right: Duration) -> Timestamp:
    return checked_timestamp(left.nanos - right.nanos, left.offset)


@operators.function("_*_(int, int) -> int")
def multiply_int(left: int, right: int) -> int:
    return checked_int(left * right)


@operators.function("_*_(uint, uint) -> uint")
def multiply_uint(left: UInt, right: UInt) -> UInt:
    return checked_uint(int(left) * int(right))


@operators.function("_*_(double, double) -> double")
def multiply_double(left: float, right: float) -> float:
    return left * right


@operators.function("_/_(int, int) -> int")
def divide_int(left: int, right: int) -> int:
    """Rounds towards zero, as Go does."""
    if right == 0:
        raise EvaluationError("division by zero")
    amount = abs(left) // abs(right)
    return checked_int(amount if (left < 0) == (right < 0) else -amount)


@operators.function("_/_(uint, uint) -> uint")
def divide_uint(left: UInt, right: UInt) -> UInt:
    if right == 0:
        raise EvaluationError("division by zero")
    return UInt(int(left) // int(right))


@operators.function("_/_(double, double) -> double")
def divide_double(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


@operators.function("_%_(int, int) -> int")
def modulus_int(left: int, right: int) -> int:
    """Of the sign of what is divided, as in Go."""
    if right == 0:
        raise EvaluationError("modulus by zero")
    if left == MIN_INT and right == -1:
        raise EvaluationError("integer overflow")
    amount = abs(left) % abs(right)
    return amount if left >= 0 else -amount


@operators.function("_%_(uint, uint) -> uint")
def modulus_uint(left: UInt, right: UInt) -> UInt:
    if right == 0:
        raise EvaluationError("modulus by zero")
    return UInt(int(left) % int(right))


@operators.function("-_(int) -> int")
def negate_int(value: int) -> int:
    return checked_int(-value)


@operators.function("-_(double) -> double")
def negate_double(value: float) -> float:
    return -value


@operators.function("@in(T, list(T)) -> bool")
def in_list(value: Value, members: Any) -> bool:
    return any(equal(value, each) for each in members)


@operators.function("@in(K, map(K, V)) -> bool")
def in_map(key: Value, members: Any) -> bool:
    return find(members, key) is not MISSING


_SIZED = ("string", "bytes", "list(T)", "map(K, V)")


@operators.function(*(f"size({each}) -> int" for each in _SIZED))
@operators.method(*(f"size({each}) -> int" for each in _SIZED))
def size(value: Any) -> int:
    """Code points, bytes or members."""
    return len(value)


@operators.function("cel.@mapInsert(map(K, V), K, V) -> map(K, V)")
def insert(members: dict[Value, Value], key: Value, value: Value) -> dict[Value, Value]:
    """One entry more. The map is the accumulator of a macro, which nobody else has seen: it is changed in place."""
    if find(members, key) is not MISSING:
        raise EvaluationError(f"insert failed: key {key} already exists")
    members[key] = value
    return members


@operators.function("cel.@mapInsert(map(K, V), map(K, V)) -> map(K, V)")
def insert_all(members: dict[Value, Value], entries: Any) -> dict[Value, Value]:
    for key in entries:
        insert(members, key, find(entries, key))
    return members


def index(members: Value, key: Value) -> Value:
    """``members[key]`` of a list or a map."""
    found = lookup(members, key)
    if found is MISSING:
        outside = isinstance(members, LISTS)
        raise EvaluationError(f"index out of bounds: {shown(key)}" if outside else f"no such key: {shown(key)}")
    return found


def lookup(members: Value, key: Value) -> Value:
    """The member of a list or a map; MISSING when there is none. Raises NoSuchOverload for anything else."""
    if isinstance(members, LISTS):
        if type(key) not in (int, UInt, float) or key != key // 1:
            raise EvaluationError(f"unsupported index type '{type(key).__name__}' in list")
        position = int(key)
        return members[position] if 0 <= position < len(members) else MISSING
    return find(members, key)


def shown(key: Value) -> str:
    """A key inside a message."""
    return str(key).lower() if isinstance(key, bool) else str(int(key)) if isinstance(key, int) else str(key)
