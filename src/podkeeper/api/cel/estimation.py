"""The static estimate: the least and the most that an expression may cost, before any value is there.

Sizes come from literals, from declarations (``maxItems``, ``maxLength``, ``maxProperties``, or what fits into a
request) and from calls. Source: cel-go's checker/cost.go, with presence tests free, as Kubernetes has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from podkeeper.api.cel import types
from podkeeper.api.cel.ast import RESULT, Call, Comprehension, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from podkeeper.api.cel.checker import Checked
from podkeeper.api.cel.costs import LIST_CREATION, MAP_CREATION, STRUCT_CREATION
from podkeeper.api.cel.declarations import MAX_REQUEST, Declaration
from podkeeper.api.cel.estimates import Operand, estimate_call
from podkeeper.api.cel.ranges import MAX, ONE, UNKNOWN, ZERO, Range, exactly
from podkeeper.api.cel.types import Type

#: The most that a rule may cost by its estimate, and all rules of a definition together.
RULE_LIMIT = 10_000_000
DEFINITION_LIMIT = 100_000_000

_SCALARS = (types.BOOL, types.INT, types.UINT, types.DOUBLE, types.DURATION, types.TIMESTAMP)

#: The size of a value of a type of which no declaration speaks.
Sizes = Callable[[Type], Range | None]


def over_budget(what: str, cost: int, limit: int) -> str:
    """The message about an estimate beyond its limit."""
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{what} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, "
        "and maxLength where arrays, maps, and strings are declared)"
    )


def cardinality(declared: Declaration) -> int:
    """How many such places a request may have at most, where lists or maps around them set no bound.

    A rule's estimate counts that often; where every list and map around it has a maximum, their product counts.
    """
    return MAX_REQUEST // (declared.min_size + 1)


@dataclass(frozen=True, slots=True)
class _Entries:
    """The sizes of the keys and values inside a list or map."""

    form: str
    key: Range
    value: Range

    def __or__(self, other: _Entries) -> _Entries:
        return _Entries(self.form, self.key | other.key, self.value | other.value)


@dataclass(frozen=True, slots=True)
class _Local:
    declared: Declaration | None
    size: Range | None
    entries: _Entries | None = None


def estimate(checked: Checked, variables: Mapping[str, Declaration], sizes: Sizes = lambda _: None) -> Range:
    """The cost of an expression."""
    return _Estimator(checked, variables, sizes).cost(checked.root)


class _Estimator:
    def __init__(self, checked: Checked, variables: Mapping[str, Declaration], sizes: Sizes) -> None:
        self.checked = checked
        self.variables = variables
        self.default = sizes
        self.sizes: dict[int, Range] = {}
        self.entries: dict[int, _Entries] = {}
        self.declared: dict[int, Declaration] = {}
        self.locals: dict[str, list[_Local]] = {}

    def cost(self, node: Node) -> Range:
        node = self.checked.actual(node)
        match node:
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return sum((self.cost(each.value) for each in node.fields), exactly(STRUCT_CREATION))
            case Comprehension():
                return self._bind(node) if node.is_bind else self._fold(node)
        return ZERO

    # --- what is known of a node

    def _local(self, node: Node) -> _Local | None:
        found = self.locals.get(node.name) if isinstance(node, Ident) else None
        return found[-1] if found else None

    def _declared(self, node: Node) -> Declaration | None:
        node = self.checked.actual(node)
        local = self._local(node)
        return local.declared if local is not None else self.declared.get(node.id)

    def _declare(self, node: Node, declared: Declaration | None) -> None:
        if declared is not None:
            self.declared[node.id] = declared

    def _size(self, node: Node) -> Range | None:
        node = self.checked.actual(node)
        found = self.sizes.get(node.id) or _size_of_literal(node)
        if found is not None:
            return found
        type_ = self.checked.type_of(node)
        found = self._declared_size(node) or self.default(type_)
        if found is not None:
            self.sizes[node.id] = found
            return found
        if _is_scalar(type_):
            return ONE
        local = self._local(node)
        return local.size if local is not None else None

    def _declared_size(self, node: Node) -> Range | None:
        declared = self._declared(node)
        if declared is None and node.id in self.checked.constants:
            declared = next(iter(self.variables.values()), None)  # upstream takes names of types for the first variable
        return _bound(declared)

    def _size_or_unknown(self, node: Node) -> Range:
        return self._size(node) or UNKNOWN

    def _entries(self, node: Node) -> _Entries | None:
        node = self.checked.actual(node)
        if node.id in self.entries:
            return self.entries[node.id]
        local = self._local(node)
        return local.entries if local is not None else None

    # --- nodes

    def _ident(self, node: Ident) -> Range:
        if self._local(node) is None:
            self._declare(node, self.variables.get(node.name))
        return ONE

    def _select(self, node: Select) -> Range:
        cost = self.cost(node.operand)
        if node.test:
            return cost
        form = self.checked.type_of(self.checked.actual(node.operand)).form
        parent = self._declared(node.operand)
        if parent is not None:
            self._declare(node, parent.field(node.name))
        return cost + ONE if form in ("map", "object", "parameter") else cost

    def _call(self, node: Call) -> Range:
        given = ((node.target,) if node.target is not None else ()) + node.arguments
        if node.function == "dyn":
            cost = ONE + self.cost(given[0])
            self._copy(node, given[0])
            return cost
        below = list(map(self.cost, given))
        if node.function == "_?._":
            return below[0] + ONE
        special = self._special(node, below)
        if special is not None:
            return special
        overloads = self.checked.overloads.get(node.id, ())
        operands = [self._operand(each) for each in given]
        costs = Range(MAX, 0)
        size: Range | None = None
        for overload in overloads:
            found = estimate_call(overload, operands)
            costs |= found.cost
            if found.size is not None:
                size = found.size if size is None else size | found.size
            if overload.name == "_[_]":
                size = self._index(node, overload.arguments[0].form) or size
        if node.function == "_+_":
            self._concatenate(node)
        size = size if size is not None else self._size(node)
        if size is not None:
            self.sizes[node.id] = size
        return sum(below, costs)

    def _special(self, node: Call, below: list[Range]) -> Range | None:
        """What does not run all of its arguments."""
        if node.function in ("_&&_", "_||_"):
            return Range(below[0].low, (below[0] + below[1]).high)
        if node.function != "_?_:_":
            return None
        _, then, otherwise = node.arguments
        self.sizes[node.id] = self._size_or_unknown(then) | self._size_or_unknown(otherwise)
        one, other = self._entries(then), self._entries(otherwise)
        if one is not None and other is not None:
            self.entries[node.id] = one | other
        return below[0] + (below[1] | below[2])

    def _operand(self, node: Node) -> Operand:
        type_ = self.checked.type_of(self.checked.actual(node))
        member: Range | None = None
        if type_.form == "list" and type_.parameters[0] in (types.STRING, types.BYTES):
            declared = self._declared(node)
            items = declared.items if declared is not None else None
            member = _bound(items) or self.default(type_.parameters[0]) or UNKNOWN
        return Operand(self.checked.actual(node), type_, self._size_or_unknown(node), member)

    def _index(self, node: Call, form: str) -> Range | None:
        container = node.arguments[0]
        declared = self._declared(container)
        if declared is not None and form in ("list", "map"):
            self._declare(node, declared.items)
        entries = self._entries(container)
        return entries.value if entries is not None else None

    def _concatenate(self, node: Call) -> None:
        one, other = (self._entries(each) for each in node.arguments)
        if one is not None and other is not None:
            self.entries[node.id] = one | other

    def _copy(self, node: Node, source: Node) -> None:
        """A node is as large as another one."""
        size, entries = self._size(source), self._entries(source)
        if size is not None:
            self.sizes[node.id] = size
        if entries is not None:
            self.entries[node.id] = entries

    def _list(self, node: ListOf) -> Range:
        cost = sum(map(self.cost, node.elements), exactly(LIST_CREATION))
        self.entries[node.id] = _Entries("list", ONE, self._covering(node.elements))
        return cost

    def _map(self, node: MapOf) -> Range:
        below = [part for entry in node.entries for part in (entry.key, entry.value)]
        cost = sum(map(self.cost, below), exactly(MAP_CREATION))
        keys, values = tuple(below[0::2]), tuple(below[1::2])
        self.entries[node.id] = _Entries("map", self._covering(keys), self._covering(values))
        return cost

    def _covering(self, nodes: tuple[Node, ...]) -> Range:
        found = Range(MAX, 0) if nodes else ZERO
        for each in nodes:
            found |= self._size_or_unknown(each)
        return found

    # --- macros

    def _bind(self, node: Comprehension) -> Range:
        cost = exactly(LIST_CREATION) + self.cost(node.init)
        local = _Local(self._declared(node.init), self._size(node.init), self._entries(node.init))
        self._push(node.accumulator, local)
        cost += self.cost(node.result)
        self._copy(node, node.result)
        self._pop(node.accumulator)
        return cost

    def _fold(self, node: Comprehension) -> Range:
        cost = self.cost(node.range) + self.cost(node.init)
        kept = None if node.accumulator == RESULT else self._declared(node.init)
        self._push(node.accumulator, _Local(kept, self._size(node.init), self._entries(node.init)))
        first, second = self._members(node)
        self._push(node.variable, first)
        if second is not None:
            self._push(node.variable2, second)
        loop = self.cost(node.condition) + self.cost(node.step)
        self._pop(node.variable, *((node.variable2,) if second is not None else ()))
        cost += self.cost(node.result)
        self._pop(node.accumulator)
        times = self._size_or_unknown(node.range)
        self._measure(node, times)
        return cost + times * loop

    def _members(self, node: Comprehension) -> tuple[_Local, _Local | None]:
        """The variables: a single one is the member of a list and the key of a map."""
        declared, entries = self._declared(node.range), self._entries(node.range)
        form = entries.form if entries is not None else self.checked.type_of(self.checked.actual(node.range)).form
        listed = form == "list"
        key = _Local(declared.keys if declared is not None else None, entries.key if entries is not None else None)
        value = _Local(declared.items if declared is not None else None, entries.value if entries is not None else None)
        if node.variable2:
            return key, value
        return (value if listed else key), None

    def _measure(self, node: Comprehension, times: Range) -> None:
        """A fold that makes a list or map makes as many members as it takes at most."""
        if isinstance(node.init, ListOf | MapOf):
            self.sizes[node.id] = times
            entries = self._entries(node.step)
            if entries is not None:
                self.entries[node.id] = entries
            return
        size = self._size(node.init)
        if size is not None:
            self.sizes[node.id] = size

    def _push(self, name: str, local: _Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def _pop(self, *names: str) -> None:
        for name in names:
            self.locals[name].pop()


def _bound(declared: Declaration | None) -> Range | None:
    if declared is None or declared.max_elements is None:
        return None
    return Range(0, declared.max_elements)


def _size_of_literal(node: Node) -> Range | None:
    if isinstance(node, Literal):
        return exactly(len(node.value)) if isinstance(node.value, str | bytes) else ONE
    if isinstance(node, ListOf):
        return exactly(len(node.elements))
    return exactly(len(node.entries)) if isinstance(node, MapOf) else None


def _is_scalar(given: Type) -> bool:
    return given in _SCALARS or (given.form == "optional" and _is_scalar(given.parameters[0]))
