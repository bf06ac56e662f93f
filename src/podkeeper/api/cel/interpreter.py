"""Checked trees to closures: one Python function per node, which takes a Frame and returns a value.

Everything that can be known before a run is known then: which slot a variable of a macro has, which overload runs,
what is constant. A run only adds up costs and calls. Errors are exceptions; ``&&``, ``||`` and the macros over
members absorb them where the language says so.
"""

from __future__ import annotations

from podkeeper.api.cel import closures, costs
from podkeeper.api.cel.ast import Call, Comprehension, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from podkeeper.api.cel.checker import Checked
from podkeeper.api.cel.closures import Frame, Run
from podkeeper.api.cel.libraries.operators import shown
from podkeeper.api.cel.library import choose
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import (
    MISSING,
    EvaluationError,
    Failure,
    NoSuchOverload,
    UInt,
    Value,
    find,
)
from podkeeper.api.cel.views import StructValue

_CONVERSIONS = frozenset({"bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"})
_KEYS = (bool, int, str, UInt)


def compile_tree(checked: Checked, optimize: bool = True) -> tuple[Run, int]:
    """The closure of a tree, and how many slots its frames need. ``optimize`` computes constants beforehand."""
    compiler = _Compiler(checked, optimize)
    return compiler.compile(checked.root), compiler.slots


class _Compiler:
    def __init__(self, checked: Checked, optimize: bool) -> None:
        self.checked = checked
        self.optimize = optimize
        self.slots = 0
        self.scope: dict[str, list[int]] = {}
        #: Names that are computed when they are first read.
        self.lazy: set[int] = set()
        #: Sums whose left side is the accumulator of a macro, which may be changed in place.
        self.appends: dict[int, int] = {}

    def compile(self, node: Node) -> Run:
        node = self.checked.actual(node)
        match node:
            case Literal():
                return closures.constant(node.value)
            case Ident():
                return self._ident(node, 1)
            case Select():
                return self._has(node) if node.test else self._attribute(node, 1)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return self._struct(node)
            case Comprehension():
                return self._bind(node) if node.is_bind else self._fold(node)
        raise AssertionError(node)

    # --- names, fields and members

    def _ident(self, node: Ident, own: int) -> Run:
        constant = self.checked.constants.get(node.id)
        if constant is not None:
            return closures.constant(constant)
        if self.scope.get(node.name):
            slot = self.scope[node.name][-1]
            return closures.lazy_local(slot, own) if slot in self.lazy else closures.local(slot, own)
        return closures.variable(node.name, own)

    def _attribute(self, node: Node, own: int) -> Run:
        """What is selected from a name or a value, step by step. ``own`` is what reading it costs beside the steps.

        As upstream, keys and branches of ``?:`` that are attributes themselves cost their steps alone.
        """
        node = self.checked.actual(node)
        if isinstance(node, Ident):
            return self._ident(node, own)
        if isinstance(node, Select) and not node.test:
            return closures.selected(self._attribute(node.operand, own), node.name)
        if isinstance(node, Call) and node.function in ("_[_]", "_[?_]"):
            operand = self._attribute(node.arguments[0], own)
            return closures.indexed(operand, self._attribute(node.arguments[1], 0), node.function == "_[?_]")
        if isinstance(node, Call) and node.function == "_?._":
            name = node.arguments[1]
            assert isinstance(name, Literal)
            return closures.indexed(self._attribute(node.arguments[0], own), closures.constant(name.value), True)
        if isinstance(node, Literal) or (isinstance(node, Call) and node.function == "_?_:_"):
            return self.compile(node)
        return closures.costing(self.compile(node), own)

    def _has(self, node: Select) -> Run:
        operand, name = self._attribute(node.operand, 1), node.name

        def has(frame: Frame) -> bool:
            return closures.has_field(operand(frame), name)

        return has

    # --- calls

    def _call(self, node: Call) -> Run:
        match node.function:
            case "_&&_":
                return closures.logical(self.compile(node.arguments[0]), self.compile(node.arguments[1]), False)
            case "_||_":
                return closures.logical(self.compile(node.arguments[0]), self.compile(node.arguments[1]), True)
            case "_?_:_":
                return self._conditional(node)
            case "_[_]" | "_[?_]" | "_?._":
                return self._attribute(node, 1)
            case "@not_strictly_false":
                return closures.not_strictly_false(self.compile(node.arguments[0]))
            case "_+_" if node.id in self.appends:
                return self._append(node)
        constant = self._constant_of(node)
        if constant is not MISSING:
            return closures.constant(constant)
        if node.function == "@in" and self.optimize:
            members = self._constant_of(node.arguments[1])
            if members is not MISSING and closures.is_uniform(members):
                return closures.member_of(self.compile(node.arguments[0]), members)
        given = ((node.target,) if node.target is not None else ()) + node.arguments
        return self._function(node, list(map(self.compile, given)))

    def _function(self, node: Call, given: list[Run]) -> Run:
        overloads = self.checked.overloads[node.id]
        arguments = ((node.target,) if node.target is not None else ()) + node.arguments
        known = all(self.checked.type_of(each).form not in ("dyn", "parameter") for each in arguments)
        if len(overloads) == 1 and known and overloads[0].name != "cel.@mapInsert":
            return closures.direct(overloads[0], given)
        return closures.dispatched(overloads, given)

    def _conditional(self, node: Call) -> Run:
        condition = self.compile(node.arguments[0])
        then, otherwise = (self._branch(each) for each in node.arguments[1:])

        def choose_branch(frame: Frame) -> Value:
            chosen = condition(frame)
            if chosen is True:
                return then(frame)
            if chosen is False:
                return otherwise(frame)
            raise NoSuchOverload

        return choose_branch

    def _branch(self, node: Node) -> Run:
        actual = self.checked.actual(node)
        attribute = isinstance(actual, Ident | Select) or (
            isinstance(actual, Call) and actual.function in ("_[_]", "_[?_]", "_?._")
        )
        test = isinstance(actual, Select) and actual.test
        return self._attribute(actual, 0) if attribute and not test else self.compile(actual)

    # --- construction

    def _constant_of(self, node: Node) -> Value:
        """The value of a literal, or of a list, map or conversion of such; MISSING for anything else."""
        if isinstance(node, Literal):
            return node.value
        if not self.optimize:
            return MISSING
        if isinstance(node, ListOf) and not node.optional:
            members = [self._constant_of(each) for each in node.elements]
            return MISSING if any(each is MISSING for each in members) else members
        if isinstance(node, MapOf):
            return self._constant_map(node)
        if isinstance(node, Call) and node.function in _CONVERSIONS and len(node.arguments) == 1:
            return self._converted(node)
        return MISSING

    def _constant_map(self, node: MapOf) -> Value:
        found: dict[Value, Value] = {}
        for entry in node.entries:
            key, value = self._constant_of(entry.key), self._constant_of(entry.value)
            if entry.optional or key is MISSING or value is MISSING or type(key) not in _KEYS or key in found:
                return MISSING
            found[key] = value
        return found

    def _converted(self, node: Call) -> Value:
        argument = node.arguments[0]
        if not isinstance(argument, Literal) or node.id not in self.checked.overloads:
            return MISSING
        try:
            return choose(self.checked.overloads[node.id], (argument.value,)).run(argument.value)
        except EvaluationError:
            return MISSING

    def _list(self, node: ListOf) -> Run:
        constant = self._constant_of(node)
        if constant is not MISSING and node.elements:
            return closures.constant(constant)
        cost = costs.LIST_CREATION if constant is MISSING else 0
        elements = [(self.compile(each), index in node.optional) for index, each in enumerate(node.elements)]

        def build(frame: Frame) -> list[Value]:
            found: list[Value] = []
            for element, optional in elements:
                value = element(frame)
                if not optional:
                    found.append(value)
                elif closures.unwrapped(value) is not MISSING:
                    found.append(value.value)
            frame.cost += cost
            return found

        return build

    def _map(self, node: MapOf) -> Run:
        constant = self._constant_of(node)
        if constant is not MISSING and node.entries:
            return closures.constant(constant)
        cost = costs.MAP_CREATION if constant is MISSING else 0
        entries = [(self.compile(each.key), self.compile(each.value), each.optional) for each in node.entries]

        def build(frame: Frame) -> dict[Value, Value]:
            found: dict[Value, Value] = {}
            for key_of, value_of, optional in entries:
                key, value = key_of(frame), value_of(frame)
                if type(key) not in _KEYS:
                    raise EvaluationError("unsupported key type")
                if find(found, key) is not MISSING:
                    raise EvaluationError(f"Failed with repeated key {shown(key)}")
                value = closures.unwrapped(value) if optional else value
                if value is not MISSING:
                    found[key] = value
            frame.cost += cost
            return found

        return build

    def _struct(self, node: Struct) -> Run:
        given: Type = self.checked.structs[node.id]
        fields = [(each.name, self.compile(each.value), each.optional) for each in node.fields]

        def build(frame: Frame) -> StructValue:
            found: dict[str, Value] = {}
            for name, value_of, optional in fields:
                value = value_of(frame)
                value = closures.unwrapped(value) if optional else value
                if value is not MISSING:
                    found[name] = value
            frame.cost += costs.STRUCT_CREATION
            return StructValue(given, found)

        return build

    # --- macros

    def _open(self, name: str) -> int:
        slot = self.slots
        self.slots += 1
        self.scope.setdefault(name, []).append(slot)
        return slot

    def _close(self, *names: str) -> None:
        for name in names:
            self.scope[name].pop()

    def _bind(self, node: Comprehension) -> Run:
        """A name for a value, which is computed when the name is first read, if ever."""
        value = self.compile(node.init)
        cost = 0 if self.optimize else costs.LIST_CREATION  # the empty range of the fold that this is upstream
        slot = self._open(node.accumulator)
        self.lazy.add(slot)
        result = self.compile(node.result)
        self._close(node.accumulator)

        def bind(frame: Frame) -> Value:
            frame.cost += cost
            frame.locals[slot] = value
            return result(frame)

        return bind

    def _fold(self, node: Comprehension) -> Run:
        members, init = self.compile(node.range), self.compile(node.init)
        accumulated = self._open(node.accumulator)
        first = self._open(node.variable)
        second = self._open(node.variable2) if node.variable2 else -1
        always = node.condition == Literal(True)
        condition = None if always else self.compile(node.condition)
        self._mark_append(node, accumulated)
        step = self.compile(node.step)
        self._close(node.variable, *((node.variable2,) if node.variable2 else ()))
        result = self.compile(node.result)
        self._close(node.accumulator)
        pairs = second >= 0

        def fold(frame: Frame) -> Value:
            slots = frame.locals
            ranged = members(frame)
            slots[accumulated] = init(frame)
            for each in closures.pairs(ranged) if pairs else closures.iterated(ranged):
                if pairs:
                    slots[first], slots[second] = each
                else:
                    slots[first] = each
                if condition is not None and condition(frame) is False:
                    break
                try:
                    slots[accumulated] = step(frame)
                except EvaluationError as error:
                    slots[accumulated] = Failure(error)
                frame.check()
            return result(frame)

        return fold

    def _mark_append(self, node: Comprehension, slot: int) -> None:
        """Notes a step ``accumulator + [x]``, with a filter around it or not."""
        step = node.step
        if isinstance(step, Call) and step.function == "_?_:_":
            step = step.arguments[1]
        if isinstance(step, Call) and step.function == "_+_" and node.init == ListOf():
            left, right = step.arguments
            if left == Ident(node.accumulator) and isinstance(right, ListOf) and len(right.elements) == 1:
                self.appends[step.id] = slot

    def _append(self, node: Call) -> Run:
        slot = self.appends[node.id]
        right = node.arguments[1]
        assert isinstance(right, ListOf)
        element = self.compile(right.elements[0])
        folded = self._constant_of(right) is not MISSING
        cost = 2 + (0 if folded else costs.LIST_CREATION)  # the accumulator, the list of one, the sum

        def append(frame: Frame) -> Value:
            members = frame.locals[slot]
            value = element(frame)
            frame.cost += cost
            if type(members) is Failure:
                raise members.error
            members.append(value)
            return members

        return append
