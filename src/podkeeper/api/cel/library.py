"""Functions and their overloads: what a library declares, and which overload takes which values.

A library is a module with a ``Library``; its functions are plain Python functions under their signatures, where the
receiver of a method is its first argument::

    strings = Library("strings")

    @strings.method("charAt(string, int) -> string")
    def char_at(text: str, index: int) -> str: ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from podkeeper.api.cel import types
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import (
    Duration,
    ListValue,
    MapValue,
    NoSuchOverload,
    Optional,
    Timestamp,
    UInt,
    Value,
)
from podkeeper.api.quantity import Quantity

#: A version of the API whose expressions may use a library: ``(1, 36)``.
Version = tuple[int, int]
Run = TypeVar("Run", bound=Callable[..., Value])

_SIGNATURE = re.compile(r"([\w.@\[\]?!+\-*/%<>=&|:]+?)\((.*)\) -> (.+)")


@dataclass(frozen=True, slots=True, eq=False)
class Overload:
    """One way to call a function. ``id`` is the signature; of a member, the first argument is the receiver."""

    id: str
    name: str
    arguments: tuple[Type, ...]
    result: Type
    member: bool
    run: Callable[..., Value]

    def accepts(self, values: tuple[Value, ...]) -> bool:
        """Whether values of these types may be given; members of lists and maps are not looked at."""
        return len(values) == len(self.arguments) and all(
            wanted.form in ("dyn", "parameter") or type_of_value(value).name == wanted.name
            for wanted, value in zip(self.arguments, values, strict=True)
        )


class Library:
    """A named set of functions, there for expressions since a version of the API."""

    def __init__(self, name: str, since: Version = (1, 0)) -> None:
        self.name = name
        self.since = since
        self.overloads: list[Overload] = []

    def function(self, *signatures: str) -> Callable[[Run], Run]:
        """Declares the function below under signatures such as ``sets.contains(list(T), list(T)) -> bool``."""
        return self._declare(signatures, member=False)

    def method(self, *signatures: str) -> Callable[[Run], Run]:
        """The same for a function of a receiver, which is the first argument."""
        return self._declare(signatures, member=True)

    def _declare(self, signatures: Iterable[str], member: bool) -> Callable[[Run], Run]:
        def declare(run: Run) -> Run:
            self.overloads += (_overload(signature, member, run) for signature in signatures)
            return run

        return declare


def _overload(signature: str, member: bool, run: Callable[..., Value]) -> Overload:
    match = _SIGNATURE.fullmatch(signature)
    assert match is not None, signature
    name, arguments, result = match.groups()
    inner = types.parse_type(f"map({arguments})").parameters if arguments else ()
    return Overload(signature, name, inner, types.parse_type(result), member, run)


def functions_of(libraries: Iterable[Library]) -> Mapping[str, tuple[Overload, ...]]:
    """All overloads by the names of their functions."""
    found: dict[str, list[Overload]] = {}
    for library in libraries:
        for overload in library.overloads:
            found.setdefault(overload.name, []).append(overload)
    return {name: tuple(overloads) for name, overloads in found.items()}


def opaque_types(functions: Mapping[str, tuple[Overload, ...]]) -> Mapping[str, Type]:
    """The types that these functions bring along, by their names."""
    results = {overload.result for overloads in functions.values() for overload in overloads}
    return {each.name: each for each in results if each.form == "opaque"}


def choose(overloads: tuple[Overload, ...], values: tuple[Value, ...]) -> Overload:
    """The overload for these values. Raises NoSuchOverload."""
    for overload in overloads:
        if overload.accepts(values):
            return overload
    raise NoSuchOverload


_BY_CLASS: dict[type, Type] = {
    bool: types.BOOL,
    int: types.INT,
    UInt: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
    type(None): types.NULL,
    Duration: types.DURATION,
    Timestamp: types.TIMESTAMP,
    Optional: types.NAMED["optional_type"],
    list: types.NAMED["list"],
    tuple: types.NAMED["list"],
    dict: types.NAMED["map"],
    Type: types.TYPE,
    Quantity: types.opaque("kubernetes.Quantity"),
}


def type_of_value(value: Value) -> Type:
    """The type of a value as it stands; classes of libraries name theirs as ``cel_type``."""
    found = _BY_CLASS.get(type(value))
    if found is not None:
        return found
    declared = getattr(value, "cel_type", None)
    if isinstance(declared, Type):
        return declared
    if isinstance(value, ListValue):
        return types.NAMED["list"]
    if isinstance(value, MapValue):
        return types.NAMED["map"]
    raise NoSuchOverload(f"a value of {type(value).__name__} is of no type that expressions know")
