"""cel-go's set extension: lists as sets, whose members are equal as values are."""

from __future__ import annotations

from typing import Any

from podkeeper.api.cel.library import Library
from podkeeper.api.cel.values import Value, equal

sets = Library("cel.lib.ext.sets", since=(1, 29))


def _among(value: Value, members: Any) -> bool:
    return any(equal(value, each) for each in members)


@sets.function("sets.contains(list(T), list(T)) -> bool")
def contains(members: Any, others: Any) -> bool:
    return all(_among(each, members) for each in others)


@sets.function("sets.equivalent(list(T), list(T)) -> bool")
def equivalent(members: Any, others: Any) -> bool:
    return contains(members, others) and contains(others, members)


@sets.function("sets.intersects(list(T), list(T)) -> bool")
def intersects(members: Any, others: Any) -> bool:
    return any(_among(each, members) for each in others)
