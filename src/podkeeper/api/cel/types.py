"""The types of expressions, and how they print in messages.

A type is a name with parameters: ``list(int)``, ``kubernetes.Quantity``, ``dyn``, or a parameter of a signature such as
``T``. ``parse_type`` reads what ``str`` prints, so that signatures of functions are written as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

Form = Literal["simple", "dyn", "error", "list", "map", "optional", "type", "object", "opaque", "parameter"]


@dataclass(frozen=True, slots=True)
class Type:
    """One type; equal by name and parameters."""

    name: str
    parameters: tuple[Type, ...] = ()
    form: Form = "simple"

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(map(str, self.parameters))})"


BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
NULL = Type("null")
DURATION = Type("duration")
TIMESTAMP = Type("timestamp")
DYN = Type("dyn", form="dyn")
#: What an expression has about which an error was reported already.
ERROR = Type("!error!", form="error")
TYPE = Type("type", form="type")

_SIMPLE = {each.name: each for each in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, DURATION, TIMESTAMP, DYN, TYPE)}
#: The names by which expressions speak of types, with the type that is meant.
NAMED = {
    **{each.name: each for each in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, DYN, TYPE)},
    "null_type": NULL,
    "google.protobuf.Duration": DURATION,
    "google.protobuf.Timestamp": TIMESTAMP,
    "list": Type("list", (DYN,), "list"),
    "map": Type("map", (DYN, DYN), "map"),
    "optional_type": Type("optional_type", (DYN,), "optional"),
}


def list_of(member: Type) -> Type:
    return Type("list", (member,), "list")


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value), "map")


def optional_of(value: Type) -> Type:
    return Type("optional_type", (value,), "optional")


def type_of(value: Type) -> Type:
    return Type("type", (value,), "type")


def object_of(name: str) -> Type:
    """A type with fields; which ones, its Declaration says."""
    return Type(name, (), "object")


def opaque(name: str) -> Type:
    """A type that only functions look into."""
    return Type(name, (), "opaque")


_TOKEN = re.compile(r"\s*([A-Za-z_][\w.]*|[(),])")
_FORMS: dict[str, Form] = {"list": "list", "map": "map", "optional_type": "optional", "type": "type"}


@cache
def parse_type(text: str) -> Type:
    """``map(string, T)`` to a type. One capital letter is a parameter; a name with a dot is opaque."""
    tokens = _TOKEN.findall(text)
    found, rest = _read(tokens)
    assert not rest, text
    return found


def _read(tokens: list[str]) -> tuple[Type, list[str]]:
    name, *rest = tokens
    parameters: list[Type] = []
    if rest and rest[0] == "(":
        while rest[0] != ")":
            each, rest = _read(rest[1:])
            parameters.append(each)
        return Type(name, tuple(parameters), _FORMS[name]), rest[1:]
    if name in _SIMPLE:
        return _SIMPLE[name], rest
    return Type(name, (), "parameter" if len(name) == 1 else "opaque"), rest


def arguments_text(types: tuple[Type, ...], member: bool) -> str:
    """The types of a call as messages show them: ``(int, string)``, or ``string.(int)`` with a receiver."""
    shown = [str(each) for each in types]
    if member:
        return f"{shown[0]}.({', '.join(shown[1:])})"
    return f"({', '.join(shown)})"


class Substitution:
    """What the parameters of signatures stand for, in one expression. Names of parameters are made unique by callers.

    A try that fails is undone: ``mark`` before it, ``undo`` behind.
    """

    def __init__(self) -> None:
        self.bound: dict[Type, Type] = {}

    def mark(self) -> int:
        """The state as it is now."""
        return len(self.bound)

    def undo(self, mark: int) -> None:
        """Back to a state: what was bound since then is free again."""
        while len(self.bound) > mark:
            self.bound.popitem()

    def apply(self, given: Type, open_is_dyn: bool = False) -> Type:
        """A type with parameters replaced by what they stand for."""
        if given.form == "parameter":
            found = self.bound.get(given)
            if found is not None:
                return self.apply(found, open_is_dyn)
            return DYN if open_is_dyn else given
        if not given.parameters:
            return given
        parameters = tuple(self.apply(each, open_is_dyn) for each in given.parameters)
        return Type(given.name, parameters, given.form)

    def assign(self, wanted: Type, given: Type) -> bool:
        """Whether a value of type ``given`` can stand where ``wanted`` is asked for; binds parameters on the way."""
        wanted, given = self.apply(wanted), self.apply(given)
        if wanted == given or "dyn" in (wanted.form, given.form) or "error" in (wanted.form, given.form):
            return True
        if given.form == "parameter":
            return self._bind(given, wanted)
        if wanted.form == "parameter":
            return self._bind(wanted, given)
        if given == NULL:
            return wanted.form in ("object", "opaque") or wanted in (DURATION, TIMESTAMP)
        if wanted.form == "type" and given.form == "type":
            return True
        if wanted.name != given.name or len(wanted.parameters) != len(given.parameters):
            return False
        return all(self.assign(one, other) for one, other in zip(wanted.parameters, given.parameters, strict=True))

    def _bind(self, parameter: Type, to: Type) -> bool:
        if _mentions(to, parameter):
            return False
        self.bound[parameter] = to
        return True


def _mentions(given: Type, parameter: Type) -> bool:
    return given == parameter or any(_mentions(each, parameter) for each in given.parameters)


def more_general(one: Type, other: Type) -> Type:
    """Of two types that can be assigned to one another, the one that covers both."""
    if one.form in ("dyn", "error") or other.form in ("dyn", "error"):
        return DYN if "dyn" in (one.form, other.form) else ERROR
    if one.form == "parameter" or one == NULL:
        return other
    if one.parameters and len(one.parameters) == len(other.parameters):
        merged = tuple(more_general(a, b) for a, b in zip(one.parameters, other.parameters, strict=True))
        return Type(one.name, merged, one.form)
    return one
