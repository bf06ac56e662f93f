"""The functions that expressions are made of when they run: each takes a Frame and returns a value.

Costs are added up where upstream's observer adds them: one for a name and each step from it, none for literals and
``?:``, and for calls what podkeeper.api.cel.costs says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from podkeeper.api.cel import costs
from podkeeper.api.cel.costs import BudgetExceeded, Cost
from podkeeper.api.cel.libraries.operators import lookup, shown
from podkeeper.api.cel.library import Overload, choose
from podkeeper.api.cel.values import (
    LISTS,
    MAPS,
    MISSING,
    NONE,
    EvaluationError,
    Failure,
    ListValue,
    MapValue,
    NoSuchOverload,
    Optional,
    Value,
    equal,
    find,
)


class Frame:
    """The state of one run."""

    __slots__ = ("cost", "limit", "locals", "variables")

    def __init__(self, variables: dict[str, Value], slots: int, limit: int) -> None:
        self.variables = variables
        self.locals: list[Value] = [None] * slots
        self.cost = 0
        self.limit = limit

    def spend(self, cost: int) -> None:
        """Adds to what the run has cost. Raises BudgetExceeded."""
        self.cost += cost
        if self.cost > self.limit:
            self.check()

    def check(self) -> None:
        """Raises BudgetExceeded once the run has cost too much."""
        if self.cost > self.limit:
            raise BudgetExceeded("operation cancelled: actual cost limit exceeded")


Run = Callable[[Frame], Value]


def constant(value: Value) -> Run:
    return lambda frame: value


def variable(name: str, own: int) -> Run:
    def variable(frame: Frame) -> Value:
        frame.cost += own
        try:
            return frame.variables[name]
        except KeyError:
            raise EvaluationError(f"no such attribute(s): {name}") from None

    return variable


def local(slot: int, own: int) -> Run:
    def local(frame: Frame) -> Value:
        frame.cost += own
        value = frame.locals[slot]
        if type(value) is Failure:
            raise value.error
        return value

    return local


def lazy_local(slot: int, own: int) -> Run:
    def local(frame: Frame) -> Value:
        frame.cost += own
        value = frame.locals[slot]
        if callable(value) and not isinstance(value, type):
            try:
                value = value(frame)
            except EvaluationError as error:
                value = Failure(error)
            frame.locals[slot] = value
        if type(value) is Failure:
            raise value.error
        return value

    return local


def costing(run: Run, own: int) -> Run:
    def costing(frame: Frame) -> Value:
        value = run(frame)
        frame.cost += own
        return value

    return costing


def selected(operand: Run, name: str) -> Run:
    def selected(frame: Frame) -> Value:
        try:
            value = operand(frame)
        finally:
            frame.cost += 1
        if type(value) is dict:
            found = value.get(name, MISSING)
        elif isinstance(value, MapValue):
            found = value.find(name)
        elif type(value) is Optional:
            return _optional_field(value, name)
        else:
            raise NoSuchOverload
        if found is MISSING:
            raise EvaluationError(f"no such key: {name}")
        return found

    return selected


def _optional_field(value: Optional, key: Value) -> Optional:
    if not value.present:
        return NONE
    found = lookup(value.value, key) if isinstance(value.value, LISTS + MAPS) else MISSING
    return NONE if found is MISSING else Optional(found)


def indexed(operand: Run, key_of: Run, optional: bool) -> Run:
    def indexed(frame: Frame) -> Value:
        members, key = operand(frame), key_of(frame)
        frame.cost += 1
        if type(members) is Optional:
            return _optional_field(members, key)
        if not isinstance(members, LISTS + MAPS):
            raise NoSuchOverload
        found = lookup(members, key)
        if found is not MISSING:
            return Optional(found) if optional else found
        if optional:
            return NONE
        outside = isinstance(members, LISTS)
        raise EvaluationError(f"index out of bounds: {shown(key)}" if outside else f"no such key: {shown(key)}")

    return indexed


def has_field(value: Value, name: str) -> bool:
    if type(value) is Optional:
        return value.present and has_field(value.value, name)
    if not isinstance(value, MAPS):
        raise NoSuchOverload
    return find(value, name) is not MISSING


def unwrapped(value: Value) -> Value:
    """The value of an optional; MISSING of none."""
    if not isinstance(value, Optional):
        raise EvaluationError(f"cannot initialize optional entry from non-optional value {value}")
    return value.value if value.present else MISSING


def logical(left: Run, right: Run, decisive: bool) -> Run:
    """``&&`` is decided by false, ``||`` by true; an error counts only when nothing decides."""

    def logical(frame: Frame) -> bool:
        failure: EvaluationError | None = None
        try:
            value = left(frame)
            decided = value is decisive
            if decided:
                return decisive
            if type(value) is not bool:
                failure = NoSuchOverload()
        except EvaluationError as error:
            failure = error
        if failure is not None:
            return _right_of_failure(frame, right, decisive, failure)
        value = right(frame)
        if type(value) is not bool:
            raise NoSuchOverload
        return value

    return logical


def _right_of_failure(frame: Frame, right: Run, decisive: bool, failure: EvaluationError) -> bool:
    with suppress(EvaluationError):  # of two errors the left one is told
        decided = right(frame) is decisive
        if decided:
            return decisive
    raise failure


def not_strictly_false(argument: Run) -> Run:
    def not_strictly_false(frame: Frame) -> bool:
        try:
            return argument(frame) is not False
        except EvaluationError:
            return True
        finally:
            frame.cost += 1

    return not_strictly_false


def is_uniform(members: Any) -> bool:
    return (
        isinstance(members, list)
        and len({type(each) for each in members}) <= 1
        and all(isinstance(each, bool | int | float | str) for each in members)
    )


def member_of(argument: Run, members: list[Value]) -> Run:
    """``x in [...]`` of constants, which costs nothing but ``x``."""
    texts = frozenset(each for each in members if isinstance(each, str))

    def member_of(frame: Frame) -> bool:
        value = argument(frame)
        if type(value) is str:
            return value in texts
        return any(equal(value, each) for each in members)

    return member_of


def _settle(frame: Frame, argument: Run) -> None:
    """Runs the other argument of a call whose first one failed: it costs all the same."""
    frame.cost += 1
    with suppress(EvaluationError):  # the first error is the one that is told
        argument(frame)


#: What functions raise when data is of another type than it was declared: null for an object, text for a number.
MISFITS = (TypeError, AttributeError)


def direct(overload: Overload, arguments: list[Run]) -> Run:
    """A call whose overload is known."""
    run, cost = overload.run, costs.call_cost(overload)
    if len(arguments) == 1:
        return _unary(run, cost, arguments[0])
    if len(arguments) == 2:
        return _binary(run, cost, *arguments)

    def variadic(frame: Frame) -> Value:
        given = tuple([each(frame) for each in arguments])
        try:
            result = run(*given)
        except MISFITS as error:
            raise NoSuchOverload from error
        frame.spend(1 if cost is None else cost(given, result))
        return result

    return variadic


def _unary(run: Callable[..., Value], cost: Cost | None, argument: Run) -> Run:
    def unary(frame: Frame) -> Value:
        try:
            value = argument(frame)
        except EvaluationError:
            frame.cost += 1
            raise
        try:
            result = run(value)
            frame.spend(1 if cost is None else cost((value,), result))
        except MISFITS as error:
            raise NoSuchOverload from error
        return result

    return unary


def _binary(run: Callable[..., Value], cost: Cost | None, left: Run, right: Run) -> Run:
    def binary(frame: Frame) -> Value:
        try:
            value = left(frame)
        except EvaluationError:
            _settle(frame, right)
            raise
        try:
            other = right(frame)
        except EvaluationError:
            frame.cost += 1
            raise
        try:
            if cost is None:
                frame.cost += 1
                return run(value, other)
            result = run(value, other)
            frame.spend(cost((value, other), result))
        except MISFITS as error:
            raise NoSuchOverload from error
        return result

    return binary


def dispatched(overloads: tuple[Overload, ...], arguments: list[Run]) -> Run:
    """A call whose overload the types of values choose."""
    costing_of = {overload: costs.call_cost(overload) for overload in overloads}

    def chosen(*values: Value) -> Value:
        return choose(overloads, values).run(*values)

    def cost_of(given: tuple[Value, ...], result: Value) -> int:
        cost = costing_of[choose(overloads, given)]
        return 1 if cost is None else cost(given, result)

    costly = cost_of if any(costing_of.values()) else None
    if len(arguments) == 1:
        return _unary(chosen, costly, arguments[0])
    if len(arguments) == 2:
        return _binary(chosen, costly, *arguments)

    def variadic(frame: Frame) -> Value:
        given = tuple([each(frame) for each in arguments])
        result = chosen(*given)
        frame.spend(cost_of(given, result))
        return result

    return variadic


def iterated(members: Value) -> Any:
    if isinstance(members, ListValue | list | tuple | dict):
        return members
    if isinstance(members, MapValue) and not members.is_object:
        return members
    raise NoSuchOverload


def pairs(members: Value) -> Any:
    """Index and member of a list, key and value of a map."""
    if isinstance(members, LISTS):
        return enumerate(members)
    members = iterated(members)
    return ((key, find(members, key)) for key in members)
