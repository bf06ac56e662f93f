"""The static check: every node gets a type, every name what it stands for, every call the overloads that may run.

Nothing is guessed: where a type is ``dyn``, several overloads stay, and the values choose. Messages are cel-go's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from podkeeper.api.cel import types
from podkeeper.api.cel.ast import (
    Call,
    Comprehension,
    Entry,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
    Struct,
)
from podkeeper.api.cel.declarations import Declaration
from podkeeper.api.cel.library import Overload, type_of_value
from podkeeper.api.cel.source import CelError, Issue
from podkeeper.api.cel.types import Substitution, Type


@dataclass(frozen=True, slots=True)
class StructType:
    """A message that expressions may build: the types of its fields; with None, any field of any type."""

    type: Type
    fields: Mapping[str, Type] | None = None


Structs = Callable[[str], StructType | None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may name."""

    variables: Mapping[str, Declaration]
    functions: Mapping[str, tuple[Overload, ...]]
    structs: Structs
    #: The types of libraries by their names, which stand for them as ``int`` does for its type.
    types: Mapping[str, Type] = field(default_factory=dict)
    #: Whether members of a literal list or map must be of one type.
    homogeneous: bool = True


@dataclass(slots=True)
class Checked:
    """A tree with what was found out about it, by the ids of nodes.

    ``replaced`` has the nodes that mean something else than they look like: ``sets.contains(a, b)`` is a call of one
    function, ``google.protobuf.Duration`` one name. ``constants`` are names that stand for a type.
    """

    text: str
    root: Node
    types: dict[int, Type] = field(default_factory=dict)
    overloads: dict[int, tuple[Overload, ...]] = field(default_factory=dict)
    replaced: dict[int, Node] = field(default_factory=dict)
    constants: dict[int, Type] = field(default_factory=dict)
    structs: dict[int, Type] = field(default_factory=dict)
    #: Variables that are read.
    used: set[str] = field(default_factory=set)

    def actual(self, node: Node) -> Node:
        """The node that stands there in truth."""
        return self.replaced.get(node.id, node)

    def type_of(self, node: Node) -> Type:
        return self.types.get(node.id, types.DYN)


def check(text: str, root: Node, scope: Scope) -> Checked:
    """Checks a tree. Raises CelError."""
    checker = _Checker(Checked(text, root), scope)
    checker.check(root)
    if checker.issues:
        raise CelError(text, checker.issues)
    checked = checker.checked
    checked.types = {each: checker.bound.apply(found, open_is_dyn=True) for each, found in checked.types.items()}
    return checked


class _Checker:
    def __init__(self, checked: Checked, scope: Scope) -> None:
        self.checked = checked
        self.scope = scope
        self.issues: list[Issue] = []
        self.bound = Substitution()
        self.locals: dict[str, list[Type]] = {}
        self.fresh = count()
        self.objects: dict[str, Declaration] = {}

    def report(self, node: Node, message: str) -> Type:
        self.issues.append(Issue(node.at, message))
        return types.ERROR

    def check(self, node: Node) -> Type:
        match node:
            case Literal():
                found = type_of_value(node.value)
            case Ident():
                found = self._ident(node)
            case Select():
                found = self._select(node)
            case Call():
                found = self._call(node)
            case ListOf():
                found = self._list(node)
            case MapOf():
                found = self._map(node)
            case Struct():
                found = self._struct(node)
            case Comprehension():
                found = self._comprehension(node)
            case _:
                raise AssertionError(node)
        self.checked.types[node.id] = found
        return found

    # --- names

    def _ident(self, node: Ident) -> Type:
        found = self._named(node, node.name)
        return found or self.report(node, f"undeclared reference to '{node.name.lstrip('.')}' (in container '')")

    def _named(self, node: Node, name: str) -> Type | None:
        """What a name, with dots or without, stands for; None when it stands for nothing."""
        if self.locals.get(name):
            return self.locals[name][-1]
        plain = name.lstrip(".")
        declared = self.scope.variables.get(plain)
        if declared is not None:
            self.checked.used.add(plain)
            self.checked.replaced[node.id] = Ident(plain, id=node.id, at=node.at)
            return self._type_of_declared(declared)
        meant = types.NAMED.get(plain) or self.scope.types.get(plain)
        if meant is None:
            struct = self.scope.structs(plain)
            meant = struct.type if struct else None
        if meant is None:
            return None
        self.checked.constants[node.id] = meant
        self.checked.replaced[node.id] = Ident(plain, id=node.id, at=node.at)
        return types.type_of(meant)

    def _type_of_declared(self, declared: Declaration) -> Type:
        """The type, with the objects in it remembered, so that their fields are found again."""
        inner: Declaration | None = declared
        while inner is not None:
            if inner.type.form == "object":
                self.objects[inner.type.name] = inner
            inner = inner.items
        return declared.type

    def _select(self, node: Select) -> Type:
        if not node.test:
            name = self._qualified(node)
            found = self._named(node, name) if name else None
            if found is not None:
                return found
        operand = self.check(node.operand)
        found = self._field(node, operand, node.name)
        return types.BOOL if node.test and found.form != "error" else found

    def _qualified(self, node: Node) -> str:
        """``a.b.c`` of selections from a name that is no local variable; empty of others."""
        parts: list[str] = []
        while isinstance(node, Select) and not node.test:
            parts.append(node.name)
            node = node.operand
        if not isinstance(node, Ident) or self.locals.get(node.name):
            return ""
        return ".".join([node.name, *reversed(parts)])

    def _field(self, node: Node, operand: Type, name: str) -> Type:
        operand = self.bound.apply(operand)
        match operand.form:
            case "dyn" | "error" | "parameter":
                return types.ERROR if operand.form == "error" else types.DYN
            case "optional":
                return types.optional_of(self._field(node, operand.parameters[0], name))
            case "map":
                return operand.parameters[1]
            case "object":
                return self._object_field(node, operand, name)
        return self.report(node, f"type '{operand}' does not support field selection")

    def _object_field(self, node: Node, operand: Type, name: str) -> Type:
        declaration = self.objects.get(operand.name)
        if declaration is not None:
            declared = declaration.field(name)
            if declared is not None:
                return self._type_of_declared(declared)
            return self.report(node, f"undefined field '{name}'")
        struct = self.scope.structs(operand.name)
        if struct is None or struct.fields is None:
            return types.DYN
        return struct.fields.get(name) or self.report(node, f"undefined field '{name}'")

    # --- calls

    def _call(self, node: Call) -> Type:
        if node.function == "_?._":
            return self._optional_select(node)
        if node.target is not None:
            name = self._qualified(node.target)
            full = f"{name.lstrip('.')}.{node.function}" if name else ""
            if full in self.scope.functions:
                node = Call(full, node.arguments, id=node.id, at=node.at)
                self.checked.replaced[node.id] = node
        given = list(map(self.check, ((node.target,) if node.target else ()) + node.arguments))
        overloads = self.scope.functions.get(node.function.lstrip("."))
        if overloads is None:
            return self.report(node, f"undeclared reference to '{node.function}' (in container '')")
        return self._resolve(node, overloads, given)

    def _resolve(self, node: Call, overloads: tuple[Overload, ...], given: list[Type]) -> Type:
        member = node.target is not None
        fitting: list[Overload] = []
        result: Type | None = None
        for overload in overloads:
            if overload.member != member or len(overload.arguments) != len(given):
                continue
            found = self._fits(overload, given)
            if found is None:
                continue
            fitting.append(overload)
            result = found if result is None or result == found else types.DYN
        if result is None:
            shown = types.arguments_text(tuple(self.bound.apply(each, True) for each in given), member)
            return self.report(node, f"found no matching overload for '{node.function}' applied to '{shown}'")
        self.checked.overloads[node.id] = tuple(fitting)
        return result

    def _fits(self, overload: Overload, given: list[Type]) -> Type | None:
        """The type of a call of an overload, whose parameters are bound by it; None when it does not fit."""
        before = self.bound.mark()
        mark = f"#{next(self.fresh)}"
        for wanted, argument in zip(overload.arguments, given, strict=True):
            if not self.bound.assign(_marked(wanted, mark), argument):
                self.bound.undo(before)
                return None
        return self.bound.apply(_marked(overload.result, mark))

    def _optional_select(self, node: Call) -> Type:
        operand = self.bound.apply(self.check(node.arguments[0]))
        name = node.arguments[1]
        assert isinstance(name, Literal)
        inner = operand.parameters[0] if operand.form == "optional" else operand
        return types.optional_of(self._field(node, inner, str(name.value)))

    # --- construction

    def _join(self, node: Node, joined: Type | None, found: Type) -> Type:
        """The type of members so far with one more."""
        if joined is None:
            return found
        if self.bound.assign(joined, found):
            return types.more_general(self.bound.apply(joined), self.bound.apply(found))
        if not self.scope.homogeneous:
            return types.DYN
        return self._mismatch(node, joined, found)

    def _mismatch(self, node: Node, wanted: Type, found: Type) -> Type:
        shown, given = self.bound.apply(wanted, True), self.bound.apply(found, True)
        return self.report(node, f"expected type '{shown}' but found '{given}'")

    def _member(self, node: Node, optional: bool) -> Type:
        """The type of a member; of one that may be absent, the type inside the optional."""
        found = self.bound.apply(self.check(node))
        if not optional or found.form in ("dyn", "error"):
            return found
        if found.form != "optional":
            return self._mismatch(node, types.optional_of(found), found)
        return found.parameters[0]

    def _open(self) -> Type:
        return Type(f"_#{next(self.fresh)}", (), "parameter")

    def _list(self, node: ListOf) -> Type:
        joined: Type | None = None
        for index, each in enumerate(node.elements):
            joined = self._join(each, joined, self._member(each, index in node.optional))
        return types.list_of(joined or self._open())

    def _map(self, node: MapOf) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            key, value = self._entry(entry, key, value)
        return types.map_of(key or self._open(), value or self._open())

    def _entry(self, entry: Entry, key: Type | None, value: Type | None) -> tuple[Type, Type]:
        given = self.bound.apply(self.check(entry.key))
        key = self._join(entry.key, key, types.DYN if given.parameters else given)
        return key, self._join(entry.value, value, self._member(entry.value, entry.optional))

    def _struct(self, node: Struct) -> Type:
        name = node.name.lstrip(".")
        struct = self.scope.structs(name)
        if struct is None:
            known = name in types.NAMED
            what = f"'{name}' is not a message type" if known else f"undeclared reference to '{name}' (in container '')"
            return self.report(node, what)
        self.checked.structs[node.id] = struct.type
        for each in node.fields:
            found = self._member(each.value, each.optional)
            wanted = types.DYN if struct.fields is None else struct.fields.get(each.name)
            if wanted is None:
                self.issues.append(Issue(each.at, f"undefined field '{each.name}'"))
            elif not self.bound.assign(wanted, found):
                message = f"expected type of field '{each.name}' is '{wanted}' but provided type is '{found}'"
                self.issues.append(Issue(each.at, message))
        return struct.type

    # --- macros

    def _comprehension(self, node: Comprehension) -> Type:
        ranged = self.bound.apply(self.check(node.range))
        accumulated = self.check(node.init)
        first, second = self._members(node, ranged)
        self._push(node.accumulator, accumulated)
        self._push(node.variable, first)
        if node.variable2:
            self._push(node.variable2, second)
        self._expect(node.condition, types.BOOL)
        self._expect(node.step, accumulated)
        self._pop(node.variable, *((node.variable2,) if node.variable2 else ()))
        found = self.check(node.result)
        self._pop(node.accumulator)
        return self.bound.apply(found)

    def _members(self, node: Comprehension, ranged: Type) -> tuple[Type, Type]:
        """The types of both variables; a single one is the member of a list and the key of a map."""
        if ranged.form == "list":
            return (types.INT if node.variable2 else ranged.parameters[0]), ranged.parameters[0]
        if ranged.form == "map":
            return ranged.parameters[0], ranged.parameters[1]
        if ranged.form in ("dyn", "error", "parameter"):
            return types.DYN, types.DYN
        message = f"expression of type '{ranged}' cannot be range of a comprehension (must be list, map, or dynamic)"
        self.report(node.range, message)
        return types.ERROR, types.ERROR

    def _expect(self, node: Node, wanted: Type) -> None:
        found = self.check(node)
        if not self.bound.assign(wanted, found):
            self._mismatch(node, wanted, found)

    def _push(self, name: str, given: Type) -> None:
        self.locals.setdefault(name, []).append(given)

    def _pop(self, *names: str) -> None:
        for name in names:
            self.locals[name].pop()


def _marked(given: Type, mark: str) -> Type:
    """A type of a signature with its parameters made unique to one call."""
    if given.form == "parameter":
        return Type(given.name + mark, (), "parameter")
    if not given.parameters:
        return given
    return Type(given.name, tuple(_marked(each, mark) for each in given.parameters), given.form)
