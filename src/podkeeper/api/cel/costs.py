"""What a run costs, in cel-go's units: one for an operation, more for those that take time with the size of values.

The figures are part of the API: which expressions a cluster stops is the same as upstream. Source: cel-go's
interpreter/runtimecost.go and k8s.io/apiserver/pkg/cel/library/cost.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from podkeeper.api.cel.library import Overload
from podkeeper.api.cel.types import BYTES, STRING
from podkeeper.api.cel.values import LISTS, MAPS, Value, find, size_of

#: One evaluation stops here.
PER_CALL_LIMIT = 1_000_000
#: All rules of one object together, or all expressions of one policy.
RUNTIME_BUDGET = 10_000_000

LIST_CREATION = 10
MAP_CREATION = 30
STRUCT_CREATION = 40
TRAVERSAL = 0.1
PATTERN = 0.25
AUTHORIZATION_CHECK = 350_000

#: Arguments and result to a cost.
Cost = Callable[[tuple[Any, ...], Value], int]


class BudgetExceeded(Exception):
    """An expression cost more than was left."""


class Budget:
    """What several evaluations may cost together. Each takes away what it used."""

    def __init__(self, total: int = RUNTIME_BUDGET) -> None:
        self.remaining = total

    def __repr__(self) -> str:
        return f"Budget({self.remaining} remaining)"

    def spend(self, cost: int) -> None:
        """Raises BudgetExceeded when there is not that much; what is left then is nothing."""
        self.remaining -= cost
        if self.remaining < 0:
            self.remaining = 0
            raise BudgetExceeded(
                "validation failed due to running out of cost budget, no further validation rules will be run"
            )


def traversed(size: float, factor: float = TRAVERSAL) -> int:
    """The cost of passing over that much text."""
    return math.ceil(size * factor)


def traversal(value: Value) -> int:
    """The cost of passing over a whole tree: texts by their bytes, one for every other leaf.

    It stops beyond the limit of a call: expressions can build trees that share their branches.
    """
    cost, steps, pending = 0, 0, [value]
    while pending and cost <= PER_CALL_LIMIT:
        each = pending.pop()
        steps += 1
        if steps > 2 * PER_CALL_LIMIT:
            return steps
        if isinstance(each, str):
            cost += int(len(each.encode("utf-8", "surrogatepass")) * TRAVERSAL)
        elif isinstance(each, bytes):
            cost += int(len(each) * TRAVERSAL)
        elif isinstance(each, LISTS):
            pending += each
        elif isinstance(each, MAPS):
            pending += [part for key in each for part in (key, find(each, key))]
        else:
            cost += 1
    return cost


def pattern_cost(text: int, pattern: int) -> int:
    """The cost of matching: the length of a pattern stands for its states. No text is a character long at least."""
    return traversed(1 + text) * traversed(pattern, PATTERN)


def selector_cost(length: int) -> int:
    """The cost of parsing a selector: each two characters may be a requirement."""
    return LIST_CREATION + traversed(length) + math.ceil(math.ceil(length * 0.5) * (LIST_CREATION + STRUCT_CREATION))


def _of_first(factor: float) -> Cost:
    return lambda given, _: traversed(size_of(given[0]), factor)


def _matching(given: tuple[Any, ...], _: Value) -> int:
    return pattern_cost(size_of(given[0]), size_of(given[1]))


def _smaller(given: tuple[Any, ...], _: Value) -> int:
    return traversed(min(size_of(given[0]), size_of(given[1])))


def _both(given: tuple[Any, ...], _: Value) -> int:
    return traversed(size_of(given[0]) + size_of(given[1]))


def _contains_ip(given: tuple[Any, ...], _: Value) -> int:
    prefix = size_of(given[0])
    return traversed(prefix + prefix) + (traversed(len(given[1])) if isinstance(given[1], str) else 0)


def _contains_cidr(given: tuple[Any, ...], _: Value) -> int:
    return _contains_ip(given, _) + traversed(size_of(given[0])) + 1


def _product(factor: int) -> Cost:
    return lambda given, _: 1 + factor * size_of(given[0]) * size_of(given[1])


_BY_NAME: dict[str, Cost] = {
    "check": lambda *_: AUTHORIZATION_CHECK,
    "fieldSelector": lambda given, _: selector_cost(size_of(given[1])),
    "labelSelector": lambda given, _: selector_cost(size_of(given[1])),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), lambda given, _: traversal(given[0])),
    **dict.fromkeys(
        ("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey", "strings.quote"),
        _of_first(TRAVERSAL),
    ),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _of_first(TRAVERSAL)),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _of_first(2 * TRAVERSAL)),
    "join": lambda _, result: traversed(size_of(result), 2 * TRAVERSAL),
    **dict.fromkeys(("find", "findAll", "matches"), _matching),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": lambda given, _: pattern_cost(size_of(given[1]), given[0].pattern_size),
    **dict.fromkeys(("startsWith", "endsWith"), _of_first(TRAVERSAL)),
    "contains": lambda given, _: traversed(size_of(given[0])) * traversed(size_of(given[1])),
    **dict.fromkeys(("_==_", "_!=_"), _smaller),
    "sets.contains": _product(1),
    "sets.intersects": _product(1),
    "sets.equivalent": _product(2),
    **dict.fromkeys(("flatten", "slice", "lists.range"), lambda _, result: 1 + size_of(result)),
    **dict.fromkeys(("sort", "reverse", "@sortByAssociatedKeys"), lambda given, _: 1 + size_of(given[0])),
    "distinct": lambda given, _: 1 + size_of(given[0]) ** 2,
}
_ORDERS = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_TEXTS = (STRING, BYTES)


def call_cost(overload: Overload) -> Cost | None:
    """The cost of a call of an overload; None for one, whatever the values are."""
    texts = all(each in _TEXTS for each in overload.arguments)
    first = overload.arguments[0] if overload.arguments else None
    if overload.name in _ORDERS or overload.name == "_+_":
        return (_both if overload.name == "_+_" else _smaller) if texts else None
    if overload.name == "@in":
        return (
            (lambda given, _: size_of(given[1])) if first is not None and overload.arguments[1].form == "list" else None
        )
    if overload.name in ("bytes", "string"):
        return _of_first(TRAVERSAL) if texts and first != overload.result else None
    if overload.name == "ip":
        return _of_first(TRAVERSAL) if first == STRING else None
    return _BY_NAME.get(overload.name)
