"""The syntax tree of an expression: eight kinds of nodes, all of them immutable.

Macros are gone from a tree: a ``Comprehension`` is what all of them become. Nodes are equal when they say the same;
``id`` (unique in a tree) and ``at`` (the offset in the text) don't count. Operators are calls by cel-go's names, such
as ``_+_`` and ``_?_:_``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from podkeeper.api.cel.values import UInt

#: What a literal holds. A UInt is an int to Python, and a type of its own here.
Constant: TypeAlias = "bool | int | UInt | float | str | bytes | None"

#: The accumulator of macros, which no expression can name.
RESULT = "@result"
UNUSED = "#unused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Any expression."""

    id: int = field(default=0, compare=False, repr=False)
    at: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Constant

    def __eq__(self, other: object) -> bool:
        """1, 1u, 1.0 and true are four values here and one in Python."""
        if not isinstance(other, Literal):
            return NotImplemented
        return type(self.value) is type(other.value) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), repr(self.value)))


@dataclass(frozen=True, slots=True)
class Ident(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``operand.name``; with ``test``, whether there is such a field (``has``)."""

    operand: Node
    name: str
    test: bool = False


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function or an operator; with ``target``, a function of a receiver."""

    function: str
    arguments: tuple[Node, ...] = ()
    target: Node | None = None


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """``optional`` holds the indices of elements written with ``?``, which may be absent."""

    elements: tuple[Node, ...] = ()
    optional: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    key: Node
    value: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldInit:
    name: str
    value: Node
    optional: bool = False
    at: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Struct(Node):
    """``pkg.Name{field: value}``."""

    name: str
    fields: tuple[FieldInit, ...] = ()


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """A fold: from ``init``, ``step`` for every member of ``range`` while ``condition`` holds, then ``result``.

    With ``variable2`` the first variable is the index or key and the second one the value.
    """

    range: Node
    variable: str
    accumulator: str
    init: Node
    condition: Node
    step: Node
    result: Node
    variable2: str = ""

    @property
    def is_bind(self) -> bool:
        """Whether this only gives a name to a value, as ``cel.bind`` does."""
        return self.variable == UNUSED


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below one."""
    match node:
        case Select():
            yield node.operand
        case Call():
            if node.target is not None:
                yield node.target
            yield from node.arguments
        case ListOf():
            yield from node.elements
        case MapOf():
            for entry in node.entries:
                yield entry.key
                yield entry.value
        case Struct():
            yield from (each.value for each in node.fields)
        case Comprehension():
            yield from (node.range, node.init, node.condition, node.step, node.result)


def deeper_than(node: Node, limit: int) -> bool:
    """Whether nodes stand inside one another more than that many times. Needs no recursion."""
    pending = [(node, 1)]
    while pending:
        each, depth = pending.pop()
        if depth > limit:
            return True
        pending.extend((child, depth + 1) for child in children(each))
    return False
