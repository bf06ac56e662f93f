"""cel-go's list extension in version 3, which Kubernetes has since 1.34."""

from __future__ import annotations

from typing import Any

from podkeeper.api.cel.libraries.lists import comparable
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.values import LISTS, EvaluationError, Value, checked_members, equal

extended_lists = Library("cel.lib.ext.lists", since=(1, 34))

_ORDERED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


@extended_lists.method("slice(list(T), int, int) -> list(T)")
def slice_(members: Any, start: int, end: int) -> list[Value]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(members):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(members)}")
    return list(members)[start:end]


@extended_lists.method("flatten(list(list(T))) -> list(T)", "flatten(list(dyn), int) -> list(dyn)")
def flatten(members: Any, depth: int = 1) -> list[Value]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Value] = list(members)
    for _ in range(depth):
        if not any(isinstance(each, LISTS) for each in found):
            break
        checked_members(sum(len(each) if isinstance(each, LISTS) else 1 for each in found))
        found = [inner for each in found for inner in (each if isinstance(each, LISTS) else (each,))]
    return found


@extended_lists.method(*(f"sort(list({each})) -> list({each})" for each in _ORDERED))
def sort(members: Any) -> list[Value]:
    return sorted(comparable(members))


@extended_lists.method(*(f"@sortByAssociatedKeys(list(T), list({each})) -> list(T)" for each in _ORDERED))
def sort_by_keys(members: Any, keys: Any) -> list[Value]:
    order = sorted(range(len(members)), key=comparable(keys).__getitem__)
    return [members[index] for index in order]


@extended_lists.function("lists.range(int) -> list(int)")
def range_(count: int) -> list[int]:
    checked_members(count)
    return list(range(count))


@extended_lists.method("distinct(list(T)) -> list(T)")
def distinct(members: Any) -> list[Value]:
    """Each value once, where it stands first; plain values by their hashes."""
    seen: set[tuple[type, Value]] = set()
    others: list[Value] = []
    found: list[Value] = []
    for each in members:
        if type(each) in (str, bool, bytes):
            if (type(each), each) in seen:
                continue
            seen.add((type(each), each))
        elif any(equal(each, other) for other in others):
            continue
        else:
            others.append(each)
        found.append(each)
    return found


@extended_lists.method("reverse(list(T)) -> list(T)")
def reverse(members: Any) -> list[Value]:
    return list(members)[::-1]
