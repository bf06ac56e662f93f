"""What calls may cost, from the sizes that their arguments may have, and how large their results may be.

The figures decide which rules a CustomResourceDefinition may have: they are part of the API. Source:
k8s.io/apiserver/pkg/cel/library/cost.go and cel-go's checker/cost.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from podkeeper.api.cel.ast import Literal, Node
from podkeeper.api.cel.costs import AUTHORIZATION_CHECK, LIST_CREATION, PATTERN, STRUCT_CREATION, TRAVERSAL
from podkeeper.api.cel.library import Overload
from podkeeper.api.cel.ranges import MAX, ONE, ZERO, Range, exactly
from podkeeper.api.cel.types import BYTES, STRING, Type

#: A named format costs as much as the longest of their patterns.
_FORMAT_PATTERN = 128
_ADDRESS = Range(4, 16)


@dataclass(frozen=True, slots=True)
class Operand:
    """An argument of a call: its type and size; ``member`` is the size of a text in a list of texts."""

    node: Node
    type: Type
    size: Range
    member: Range | None = None


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """A cost without that of the arguments, and the size of the result where it is known."""

    cost: Range
    size: Range | None = None


Estimate = Callable[[list[Operand]], CallEstimate]


def estimate_call(overload: Overload, given: list[Operand]) -> CallEstimate:
    """The cost of an overload. The receiver of a method is its first argument."""
    if overload.name in _BY_NAME:
        return _BY_NAME[overload.name](given)
    texts = all(each in (STRING, BYTES) for each in overload.arguments)
    if overload.name in ("_<_", "_<=_", "_>_", "_>=_") and texts:
        return _smaller(given)
    if (
        overload.name == "_+_"
        and overload.arguments[0].form in ("list", "simple")
        and (texts or given[0].type.form == "list")
    ):
        size = given[0].size + given[1].size
        return CallEstimate(size.times(TRAVERSAL) if texts else ONE, size)
    if overload.name == "@in" and overload.arguments[1].form == "list":
        return CallEstimate(given[1].size.times(1))
    if overload.name in ("bytes", "string") and texts and overload.arguments[0] != overload.result:
        return _recoded(overload, given)
    if overload.name == "ip" and overload.arguments[0] == STRING:
        return CallEstimate(given[0].size.times(TRAVERSAL))
    if overload.name in ("containsIP", "containsCIDR"):
        return _contained(overload, given)
    return CallEstimate(ONE)


def _recoded(overload: Overload, given: list[Operand]) -> CallEstimate:
    size = given[0].size
    result = Range(size.low, min(MAX, size.high * 4)) if overload.result == BYTES else Range(size.low // 4, size.high)
    return CallEstimate(size.times(TRAVERSAL), result)


def _contained(overload: Overload, given: list[Operand]) -> CallEstimate:
    cost = (_ADDRESS + _ADDRESS).times(TRAVERSAL)
    if overload.name == "containsCIDR":
        cost = cost + _ADDRESS.times(TRAVERSAL) + ONE
    if overload.arguments[1] == STRING:
        cost += given[1].size.times(TRAVERSAL)
    return CallEstimate(cost)


def _smaller(given: list[Operand]) -> CallEstimate:
    most = min(given[0].size.high, given[1].size.high)
    return CallEstimate(Range(1 if most > 0 else 0, most).times(TRAVERSAL))


def _equal(given: list[Operand]) -> CallEstimate:
    if given[0].type == given[1].type and given[0].type.form == "opaque":
        if given[0].type.name == "kubernetes.NamedFormat":
            return CallEstimate(Range(1, 64).times(TRAVERSAL))
        return CallEstimate(ONE)
    return _smaller(given)


def _matching(given: list[Operand]) -> CallEstimate:
    return CallEstimate((given[0].size + ONE).times(TRAVERSAL) * given[1].size.times(PATTERN))


def _finding(given: list[Operand]) -> CallEstimate:
    return CallEstimate(_matching(given).cost, Range(0, given[0].size.high))


def _same_size(factor: float) -> Estimate:
    return lambda given: CallEstimate(given[0].size.times(factor), given[0].size)


def _of_first(factor: float) -> Estimate:
    return lambda given: CallEstimate(given[0].size.times(factor))


def _over_members(given: list[Operand]) -> CallEstimate:
    """One for a member, and its text if it has one; a string is passed over as a text."""
    if given[0].type.form != "list":
        return CallEstimate(given[0].size.times(TRAVERSAL))
    member = ONE if given[0].member is None else ONE + given[0].member.times(TRAVERSAL)
    return CallEstimate(given[0].size * member)


def _replaced(given: list[Operand]) -> CallEstimate:
    text, old, new = (each.size for each in given[:3])
    low_count, low_kept = _replacements(text.low, old.high, new.low, longer=False)
    high_count, high_kept = _replacements(text.high, old.low, new.high, longer=True)
    size = Range(low_count, high_count) * new + Range(low_kept, high_kept)
    return CallEstimate(text.times(2 * TRAVERSAL), size)


def _replacements(text: int, old: int, new: int, longer: bool) -> tuple[int, int]:
    """How often something may be replaced at the most or least, and how much of the text stays."""
    if old == 0:
        return min(MAX, text + 1), text
    if new <= old if longer else old <= new:
        return 0, text
    return math.ceil(float(text) / float(old)), 0


def _split(given: list[Operand]) -> CallEstimate:
    most = given[0].size.high
    limit = given[2].node if len(given) > 2 else None
    if isinstance(limit, Literal) and isinstance(limit.value, int):
        most = limit.value if limit.value >= 0 else MAX
    return CallEstimate(given[0].size.times(2 * TRAVERSAL), Range(0, most))


def _joined(given: list[Operand]) -> CallEstimate:
    count = given[0].size
    size = count * given[0].member if given[0].member is not None else ZERO
    if len(given) > 1:
        size += given[1].size * Range(max(0, count.low - 1), max(0, count.high - 1))
    return CallEstimate(size.times(TRAVERSAL), size)


def _selector(given: list[Operand]) -> CallEstimate:
    size = given[1].size
    requirements = size.times(0.5).times(float(LIST_CREATION + STRUCT_CREATION))
    return CallEstimate(exactly(LIST_CREATION) + size.times(TRAVERSAL) + requirements)


def _quoted(given: list[Operand]) -> CallEstimate:
    size = given[0].size
    return CallEstimate(size.times(TRAVERSAL), Range(size.low + 2, min(MAX, size.high * 2 + 2)))


def _validated(given: list[Operand]) -> CallEstimate:
    return CallEstimate(given[1].size.times(TRAVERSAL).times(_FORMAT_PATTERN * PATTERN))


def _sets(factor: int) -> Estimate:
    return lambda given: CallEstimate(ONE + (given[0].size * given[1].size).times(factor))


def _whole(given: list[Operand]) -> CallEstimate:
    return CallEstimate(ONE + given[0].size, given[0].size)


_BY_NAME: dict[str, Estimate] = {
    "check": lambda _: CallEstimate(exactly(AUTHORIZATION_CHECK)),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _over_members),
    **dict.fromkeys(
        ("url", "jsonpatch.escapeKey", "lowerAscii", "upperAscii", "substring", "trim"), _same_size(TRAVERSAL)
    ),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _of_first(TRAVERSAL)),
    "ip.isCanonical": _of_first(2 * TRAVERSAL),
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "matches": _matching,
    **dict.fromkeys(("find", "findAll"), _finding),
    "validate": _validated,
    **dict.fromkeys(("_==_", "_!=_"), _equal),
    "strings.quote": _quoted,
    "format": _of_first(TRAVERSAL),
    **dict.fromkeys(("startsWith", "endsWith"), lambda given: CallEstimate(given[1].size.times(TRAVERSAL))),
    "contains": lambda given: CallEstimate(given[0].size.times(TRAVERSAL) * given[1].size.times(TRAVERSAL)),
    "sets.contains": _sets(1),
    "sets.intersects": _sets(1),
    "sets.equivalent": _sets(2),
    **dict.fromkeys(("sort", "reverse", "slice", "@sortByAssociatedKeys"), _whole),
    "distinct": lambda given: CallEstimate(ONE + given[0].size * given[0].size, given[0].size),
}
