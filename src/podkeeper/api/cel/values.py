"""Values while an expression runs: plain Python wherever Python has the type.

    bool, int, float, str, bytes, None, list, dict    themselves; int is an int64 by the checks of arithmetic
    uint                                              UInt, an int that knows that it is one
    duration, timestamp                               Duration, Timestamp: whole nanoseconds, as in Go
    optional                                          Optional
    type                                              podkeeper.api.cel.types.Type

Trees with a declaration (custom objects, built-in objects) are read through views, which adapt a member when it is
asked for and copy nothing: see podkeeper.api.cel.views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: Any value of an expression.
Value: TypeAlias = Any

MIN_INT, MAX_INT = -(2**63), 2**63 - 1
MAX_UINT = 2**64 - 1


class EvaluationError(Exception):
    """An expression that has no value for these variables, with cel-go's message."""


class NoSuchOverload(EvaluationError):
    """A function was called with types of values that it does not take."""

    def __init__(self, function: str = "") -> None:
        super().__init__(f"no such overload: {function}" if function else "no such overload")


class UInt(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time in nanoseconds since 1970, UTC. ``offset``, in seconds, is that of the clock it was read from: it
    shows in texts alone."""

    nanos: int
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Optional:
    """A value that may be absent. ``NONE`` is the absent one."""

    value: Value = None
    present: bool = True


NONE = Optional(present=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error kept as a value: what an accumulator holds after a step that failed."""

    error: EvaluationError


class ListValue:
    """A list that is no Python list: it has members and a length, and may have an equality of its own."""

    __slots__ = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Value:
        raise NotImplementedError

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self)))

    #: Whether the order of members means nothing: then ``equals`` says what is equal.
    unordered = False

    def equals(self, other: Any) -> bool:
        """Equality with another list, of a list without an order."""
        raise NotImplementedError

    def plus(self, other: Any) -> Value:
        """Concatenation."""
        return Concatenation(self, other)


class MapValue:
    """A map, or an object with fields, that is no Python dict."""

    __slots__ = ()

    #: Whether this is an object with fields: then ``in`` and iteration are not for expressions.
    is_object = False

    def find(self, key: Value) -> Value:
        """The member, or ``MISSING``."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(list(self))

    def __iter__(self) -> Any:
        raise NotImplementedError


#: Lists and texts that expressions make are no longer than this.
MOST_MEMBERS = 1_000_000
MOST_CHARACTERS = 10_000_000
#: One comparison looks at no more members than this.
MOST_COMPARISONS = 1_000_000


def checked_members(count: int) -> None:
    """Raises EvaluationError for a list that is longer than any may get."""
    if count > MOST_MEMBERS:
        raise EvaluationError(f"a list of more than {MOST_MEMBERS} members")


def checked_length(characters: int) -> None:
    """Raises EvaluationError for a text that is longer than any may get."""
    if characters > MOST_CHARACTERS:
        raise EvaluationError(f"a string of more than {MOST_CHARACTERS} characters")


class Concatenation(ListValue):
    """Two lists one behind the other, not copied: a sum costs the same however long the lists are."""

    __slots__ = ("_length", "_parts")

    def __init__(self, left: Any, right: Any) -> None:
        self._parts = (left, right)
        self._length = len(left) + len(right)
        checked_members(self._length)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Value:
        part: Any = self
        while isinstance(part, Concatenation):
            left, right = part._parts
            if index < len(left):
                part = left
            else:
                part, index = right, index - len(left)
        return part[index]

    def __iter__(self) -> Any:
        pending: list[Any] = [self]
        while pending:
            part = pending.pop()
            if isinstance(part, Concatenation):
                pending.extend(reversed(part._parts))
            else:
                yield from part


MISSING: Any = object()

LISTS = (list, tuple, ListValue)
MAPS = (dict, MapValue)
_CONTAINERS = (*LISTS, *MAPS, Optional)
_SAME = frozenset({str, int, bytes, bool, UInt, Duration, Timestamp, type(None)})
_NUMBERS = frozenset({int, UInt, float})


def equal(left: Value, right: Value) -> bool:
    """Equality over all types: numbers by their amounts, lists and maps by their members, else equals in one type."""
    kind, other = type(left), type(right)
    if kind is other and kind in _SAME:
        return bool(left == right)
    if kind in _NUMBERS:
        return other in _NUMBERS and bool(left == right)
    if isinstance(left, _CONTAINERS):
        return _Comparison().equal(left, right)
    return kind is other and bool(left == right)


class _Comparison:
    """One comparison of trees. Expressions can build trees that share their branches, and have very many leaves."""

    def __init__(self) -> None:
        self.steps = 0

    def equal(self, left: Value, right: Value) -> bool:
        if not isinstance(left, _CONTAINERS):
            return equal(left, right)
        self.steps += 1 if isinstance(left, Optional) else len(left)
        if self.steps > MOST_COMPARISONS:
            raise EvaluationError(f"a comparison of more than {MOST_COMPARISONS} members")
        if isinstance(left, LISTS):
            return isinstance(right, LISTS) and self._lists(left, right)
        if isinstance(left, MAPS):
            return isinstance(right, MAPS) and self._maps(left, right)
        return isinstance(right, Optional) and self._optionals(left, right)

    def _lists(self, left: Any, right: Any) -> bool:
        if isinstance(left, ListValue) and left.unordered:
            return left.equals(right)
        if isinstance(right, ListValue) and right.unordered:
            return right.equals(left)
        return len(left) == len(right) and all(map(self.equal, left, right))

    def _maps(self, left: Any, right: Any) -> bool:
        if len(left) != len(right):
            return False
        for key in left:
            other = find(right, key)
            if other is MISSING or not self.equal(find(left, key), other):
                return False
        return True

    def _optionals(self, left: Optional, right: Optional) -> bool:
        return left.present == right.present and (not left.present or self.equal(left.value, right.value))


def find(members: Value, key: Value) -> Value:
    """The member of a map, or ``MISSING``. Keys that are equal numbers are the same key; true is not 1."""
    if isinstance(members, MapValue):
        return members.find(key)
    if type(key) is str:
        return members.get(key, MISSING)
    kind = type(key)
    if kind in _NUMBERS:
        if key in members:
            for each in members:
                if type(each) in _NUMBERS and each == key:
                    return members[each]
        return MISSING
    if kind is bool:
        for each in members:
            if each is key:
                return members[each]
    return MISSING


def size_of(value: Value) -> int:
    """How much there is of a value for costs: members, code points or bytes; 1 of everything else."""
    if type(value) in (str, list, dict, bytes, tuple) or isinstance(value, ListValue | MapValue):
        return len(value)
    measured: Callable[[], int] | None = getattr(value, "cost_size", None)
    return measured() if measured is not None else 1
