"""Kubernetes' list library: order, sums, extremes and positions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from podkeeper.api.cel.libraries.operators import checked_duration, checked_int, checked_uint
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.values import Duration, EvaluationError, UInt, Value, equal

lists = Library("kubernetes.lists")

_ORDERED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


def comparable(members: Any) -> list[Any]:
    """The members, if all are of one type that has an order. Raises EvaluationError."""
    found = list(members)
    if any(type(each) is not type(found[0]) for each in found):
        raise EvaluationError("no such overload")
    return found


@lists.method(*(f"isSorted(list({each})) -> bool" for each in _ORDERED))
def is_sorted(members: Any) -> bool:
    return all(not following < each for each, following in pairwise(comparable(members)))


@lists.method("sum(list(int)) -> int")
def sum_ints(members: list[int]) -> int:
    return checked_int(sum(members))


@lists.method("sum(list(uint)) -> uint")
def sum_uints(members: list[UInt]) -> UInt:
    return checked_uint(sum(map(int, members)))


@lists.method("sum(list(double)) -> double")
def sum_doubles(members: list[float]) -> float:
    return float(sum(members))


@lists.method("sum(list(duration)) -> duration")
def sum_durations(members: list[Duration]) -> Duration:
    return checked_duration(sum(each.nanos for each in members))


@lists.method(*(f"min(list({each})) -> {each}" for each in _ORDERED))
def smallest(members: Any) -> Value:
    return min(_some(members, "min"))


@lists.method(*(f"max(list({each})) -> {each}" for each in _ORDERED))
def largest(members: Any) -> Value:
    return max(_some(members, "max"))


def _some(members: Any, function: str) -> list[Any]:
    if not len(members):
        raise EvaluationError(f"{function} called on empty list")
    return comparable(members)


@lists.method("indexOf(list(T), T) -> int")
def index_of(members: Any, value: Value) -> int:
    return next((index for index, each in enumerate(members) if equal(each, value)), -1)


@lists.method("lastIndexOf(list(T), T) -> int")
def last_index_of(members: Any, value: Value) -> int:
    return max((index for index, each in enumerate(members) if equal(each, value)), default=-1)
