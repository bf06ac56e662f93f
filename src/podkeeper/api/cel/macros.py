"""Macros: calls that become other expressions before anything is checked.

Most become a Comprehension. Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md#macros and
cel-go's extensions for bindings, optional values and comprehensions with two variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from podkeeper.api.cel.ast import RESULT, UNUSED, Call, Comprehension, Ident, ListOf, Literal, MapOf, Node, Select

#: Gives a new node its identity at an offset.
Stamp = Callable[[int], dict[str, Any]]


class MacroError(ValueError):
    """A macro was used with arguments that it does not take."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def expand(call: Call, stamp: Stamp) -> Node | None:
    """What a call of a macro becomes; None for a call of no macro. Raises MacroError."""
    macro = _MACROS.get((call.function, len(call.arguments), call.target is not None))
    if macro is None:
        return None
    if call.function in _NAMESPACED and not (isinstance(call.target, Ident) and call.target.name == "cel"):
        return None
    return macro(_Build(call, stamp))


class _Build:
    """The call that is expanded, and short ways to write the nodes that it becomes."""

    def __init__(self, call: Call, stamp: Stamp) -> None:
        self.macro = call
        self.arguments = call.arguments
        self._stamp = stamp

    @property
    def stamp(self) -> dict[str, Any]:
        return self._stamp(self.macro.at)

    @property
    def target(self) -> Node:
        assert self.macro.target is not None
        return self.macro.target

    def literal(self, value: bool | int) -> Node:
        return Literal(value, **self.stamp)

    def ident(self, name: str) -> Node:
        return Ident(name, **self.stamp)

    @property
    def accumulated(self) -> Node:
        return self.ident(RESULT)

    def call(self, function: str, *arguments: Node, target: Node | None = None) -> Node:
        return Call(function, arguments, target, **self.stamp)

    def list_of(self, *elements: Node) -> Node:
        return ListOf(elements, **self.stamp)

    def variable(self, index: int) -> str:
        """The name in that argument."""
        node = self.arguments[index]
        if not isinstance(node, Ident) or node.name.startswith("."):
            raise MacroError("argument must be a simple name", node.at)
        if node.name == RESULT:
            raise MacroError("iteration variable overwrites accumulator variable", node.at)
        return node.name

    def variables(self, count: int) -> tuple[str, str]:
        """One or two names; the second one is empty of one."""
        if count == 1:
            return self.variable(0), ""
        first, second = self.variable(0), self.variable(1)
        if first == second:
            raise MacroError(f"duplicate variable name: {first}", self.arguments[1].at)
        return first, second

    def fold(self, count: int, init: Node, condition: Node, step: Node, result: Node | None = None) -> Node:
        first, second = self.variables(count)
        result = result or self.accumulated
        return Comprehension(self.target, first, RESULT, init, condition, step, result, second, **self.stamp)

    def name(self, name: str, value: Node, body: Node) -> Node:
        """``body`` where a name stands for a value, which is computed when it is first asked for."""
        return Comprehension(
            self.list_of(), UNUSED, name, value, self.literal(False), self.ident(name), body, **self.stamp
        )


def _has(build: _Build) -> Node:
    node = build.arguments[0]
    if not isinstance(node, Select) or node.test:
        raise MacroError("invalid argument to has() macro", node.at)
    return replace(node, test=True, id=build.stamp["id"], at=build.macro.at)


def _all(count: int) -> Callable[[_Build], Node]:
    def build_all(build: _Build) -> Node:
        condition = build.call("@not_strictly_false", build.accumulated)
        step = build.call("_&&_", build.accumulated, build.arguments[count])
        return build.fold(count, build.literal(True), condition, step)

    return build_all


def _exists(count: int) -> Callable[[_Build], Node]:
    def build_exists(build: _Build) -> Node:
        condition = build.call("@not_strictly_false", build.call("!_", build.accumulated))
        step = build.call("_||_", build.accumulated, build.arguments[count])
        return build.fold(count, build.literal(False), condition, step)

    return build_exists


def _exists_one(count: int) -> Callable[[_Build], Node]:
    def build_exists_one(build: _Build) -> Node:
        more = build.call("_+_", build.accumulated, build.literal(1))
        step = build.call("_?_:_", build.arguments[count], more, build.accumulated)
        result = build.call("_==_", build.accumulated, build.literal(1))
        return build.fold(count, build.literal(0), build.literal(True), step, result)

    return build_exists_one


def _filtered(build: _Build, predicate: Node | None, step: Node) -> Node:
    return step if predicate is None else build.call("_?_:_", predicate, step, build.accumulated)


def _transform_list(count: int, filtered: bool) -> Callable[[_Build], Node]:
    def build_list(build: _Build) -> Node:
        predicate = build.arguments[count] if filtered else None
        step = build.call("_+_", build.accumulated, build.list_of(build.arguments[-1]))
        return build.fold(count, build.list_of(), build.literal(True), _filtered(build, predicate, step))

    return build_list


def _filter(build: _Build) -> Node:
    step = build.call("_+_", build.accumulated, build.list_of(build.ident(build.variable(0))))
    return build.fold(1, build.list_of(), build.literal(True), _filtered(build, build.arguments[1], step))


def _transform_map(filtered: bool, entry: bool) -> Callable[[_Build], Node]:
    def build_map(build: _Build) -> Node:
        predicate = build.arguments[2] if filtered else None
        members = (build.arguments[-1],) if entry else (build.ident(build.variable(0)), build.arguments[-1])
        step = build.call("cel.@mapInsert", build.accumulated, *members)
        empty = MapOf((), **build.stamp)
        return build.fold(2, empty, build.literal(True), _filtered(build, predicate, step))

    return build_map


def _bind(build: _Build) -> Node:
    node, value, body = build.arguments
    if not isinstance(node, Ident):
        raise MacroError("cel.bind() variable names must be simple identifiers", node.at)
    return build.name(node.name, value, body)


def _sort_by(build: _Build) -> Node:
    """``target.sortBy(v, e)``: the target is evaluated once, its keys beside it."""
    held = f"@sorted:{build.stamp['id']}"
    step = build.call("_+_", build.accumulated, build.list_of(build.arguments[1]))
    keys = Comprehension(
        build.ident(held),
        build.variable(0),
        RESULT,
        build.list_of(),
        build.literal(True),
        step,
        build.accumulated,
        **build.stamp,
    )
    return build.name(held, build.target, build.call("@sortByAssociatedKeys", keys, target=build.ident(held)))


def _optional_map(flat: bool) -> Callable[[_Build], Node]:
    """``target.optMap(v, e)``: the target is evaluated once; a chain of them stays as long as it was written."""

    def build_optional(build: _Build) -> Node:
        held = f"@optional:{build.stamp['id']}"
        value = build.call("value", target=build.ident(held))
        body = build.name(build.variable(0), value, build.arguments[1])
        mapped = body if flat else build.call("optional.of", body)
        present = build.call("hasValue", target=build.ident(held))
        return build.name(held, build.target, build.call("_?_:_", present, mapped, build.call("optional.none")))

    return build_optional


#: By name, number of arguments, and whether there is a receiver.
_MACROS: dict[tuple[str, int, bool], Callable[[_Build], Node]] = {
    ("has", 1, False): _has,
    ("all", 2, True): _all(1),
    ("all", 3, True): _all(2),
    ("exists", 2, True): _exists(1),
    ("exists", 3, True): _exists(2),
    ("exists_one", 2, True): _exists_one(1),
    ("exists_one", 3, True): _exists_one(2),
    ("existsOne", 2, True): _exists_one(1),
    ("existsOne", 3, True): _exists_one(2),
    ("map", 2, True): _transform_list(1, filtered=False),
    ("map", 3, True): _transform_list(1, filtered=True),
    ("filter", 2, True): _filter,
    ("transformList", 3, True): _transform_list(2, filtered=False),
    ("transformList", 4, True): _transform_list(2, filtered=True),
    ("transformMap", 3, True): _transform_map(filtered=False, entry=False),
    ("transformMap", 4, True): _transform_map(filtered=True, entry=False),
    ("transformMapEntry", 3, True): _transform_map(filtered=False, entry=True),
    ("transformMapEntry", 4, True): _transform_map(filtered=True, entry=True),
    ("bind", 3, True): _bind,
    ("sortBy", 2, True): _sort_by,
    ("optMap", 2, True): _optional_map(flat=False),
    ("optFlatMap", 2, True): _optional_map(flat=True),
}
#: Macros that are functions of the name ``cel``.
_NAMESPACED = frozenset({"bind"})
