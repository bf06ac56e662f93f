"""Decoding into Go's types as far as errors go: the one that is told, and the complaints of the strict reader.

The first value of a wrong type is remembered and decoding goes on; a type that reads its JSON itself and refuses it
ends decoding at once, and its error is told. Complaints of the strict reader are told if there is no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from podkeeper.api.gojson import types
from podkeeper.api.gojson.documents import kind_of, members, number
from podkeeper.api.gojson.quoting import quoted
from podkeeper.api.gojson.types import INTEGERS, Type
from podkeeper.api.gojson.values import READERS, Mismatch, Refusal, base64_complaint

#: How many complaints the strict reader gathers.
_MOST_COMPLAINTS = 100


class Verdict(Struct, frozen=True):
    """The decoding error, empty if there is none, and the strict reader's complaints in the document's order."""

    error: str
    strict: tuple[str, ...] = ()


def judge(document: Any, struct: str) -> Verdict:
    """What is told of a document (``documents.read``, or a plain tree) as a struct (``apps/v1.Deployment``)."""
    return _Decoding().run(types.struct(struct), document)


def judge_all(document: Any, struct: str) -> Verdict:
    """The same of a document as a list of structs."""
    member = types.struct(struct)
    return _Decoding().run(Type("slice", f"[]{member.text}", member), document)


def judge_free(document: Any) -> Verdict:
    """The same of a document without a schema: only that it must be an object, and fields that stand twice."""
    return _Decoding().run(types.FREE, document)


class _Place(Struct, frozen=True):
    """Where decoding is: the innermost struct and the path of fields for errors, the whole path for complaints."""

    struct: str = ""
    fields: tuple[str, ...] = ()
    path: str = ""

    def field(self, struct: str, field: types.Field) -> _Place:
        name = struct.rpartition(".")[2]
        return _Place(name, (*self.fields, *field.within, field.name), self.path_of(field.name))

    def path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def member(self, key: str) -> _Place:
        return _Place(self.struct, self.fields, self.path_of(key))

    def element(self, index: int) -> _Place:
        return _Place(self.struct, self.fields, f"{self.path}[{index}]")

    def told(self, mismatch: Mismatch | Refusal) -> str:
        if isinstance(mismatch, Refusal):
            return str(mismatch)
        if not self.fields:
            return f"json: cannot unmarshal {mismatch.value} into Go value of type {mismatch.type}"
        where = f"{self.struct}.{'.'.join(self.fields)}"
        return f"json: cannot unmarshal {mismatch.value} into Go struct field {where} of type {mismatch.type}"


def check(value: Any, struct: str) -> None:
    """Raises Mismatch or Refusal for a value that is no such struct, found by a type that reads its JSON itself."""
    decoding = _Decoding()
    decoding.run(types.struct(struct), value)
    if decoding.error is not None:
        raise decoding.error


class _Decoding:
    """One document on its way. ``error`` is the one to be told and ``_place`` where it was found."""

    def __init__(self) -> None:
        self.error: Mismatch | Refusal | None = None
        self._place = _Place()
        self._complaints: dict[tuple[str, str], None] = {}

    def run(self, type_: Type, document: Any) -> Verdict:
        try:
            self._value(type_, document, _Place())
        except _Ended as ended:
            self.error, self._place = ended.error, ended.place
        except RecursionError:
            return Verdict("")  # too deep for everybody; others refuse it
        if self.error is None:
            return Verdict("", tuple(f"{what} field {quoted(path)}" for what, path in self._complaints))
        return Verdict(self._place.told(self.error))

    def _value(self, type_: Type, value: Any, place: _Place) -> None:
        if value is None:
            return  # null is nothing, or the zero value
        type_ = type_.pointee()
        reader = READERS.get(type_.kind)
        if reader is not None:
            _read_itself(reader, value, place)
        elif type_.kind == "struct":
            self._struct(type_, value, place)
        elif type_.kind == "map":
            self._map(type_, value, place)
        elif type_.kind == "slice":
            self._slice(type_, value, place)
        elif type_.kind == "interface":
            self._free(value, place)
        else:
            self._scalar(type_, value, place)

    def _struct(self, type_: Type, value: Any, place: _Place) -> None:
        pairs = members(value)
        if pairs is None:
            self._mismatch(type_, value, place)
            return
        fields, seen = types.fields(type_.struct), set()
        for key, each in pairs:
            field = fields.get(key)
            if field is None:
                self._complain("unknown", place.path_of(key))
                continue
            if key in seen:
                self._complain("duplicate", place.path_of(key))
            seen.add(key)
            self._value(field.type, each, place.field(type_.struct, field))

    def _map(self, type_: Type, value: Any, place: _Place) -> None:
        pairs = members(value)
        if pairs is None:
            self._mismatch(type_, value, place)
            return
        assert type_.member is not None, "maps have members"
        seen = set()
        for key, each in pairs:
            if key in seen:
                self._complain("duplicate", place.path_of(key))
            seen.add(key)
            self._value(type_.member, each, place.member(key))

    def _slice(self, type_: Type, value: Any, place: _Place) -> None:
        assert type_.member is not None, "slices have members"
        if isinstance(value, list) and members(value) is None:
            for index, each in enumerate(value):
                self._value(type_.member, each, place.element(index))
        elif isinstance(value, str) and type_.member.kind == "uint8":
            if complaint := base64_complaint(value):
                self._remember(Refusal(complaint), place)
        else:
            self._mismatch(type_, value, place)

    def _free(self, value: Any, place: _Place) -> None:
        if members(value) is not None:
            self._map(types.FREE, value, place)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                self._free(each, place.element(index))

    def _scalar(self, type_: Type, value: Any, place: _Place) -> None:
        kind, spelling = type_.kind, number(value)
        if kind in ("string", "bool"):
            if kind_of(value) != kind:
                self._mismatch(type_, value, place)
        elif not spelling:
            self._mismatch(type_, value, place)
        elif not _fits(kind, spelling):
            self._remember(Mismatch(f"number {spelling}", type_.text), place)

    def _mismatch(self, type_: Type, value: Any, place: _Place) -> None:
        self._remember(Mismatch(kind_of(value), type_.text), place)

    def _remember(self, error: Mismatch | Refusal, place: _Place) -> None:
        if self.error is None:
            self.error, self._place = error, place

    def _complain(self, what: str, path: str) -> None:
        if len(self._complaints) < _MOST_COMPLAINTS:
            self._complaints[what, path] = None


class _Ended(Exception):
    """A type that reads its JSON itself has refused it."""

    def __init__(self, error: Mismatch | Refusal, place: _Place) -> None:
        self.error, self.place = error, place


def _read_itself(reader: Callable[[Any], None], value: Any, place: _Place) -> None:
    try:
        reader(value)
    except (Mismatch, Refusal) as error:
        raise _Ended(error, place) from None


def _fits(kind: str, spelling: str) -> bool:
    """Whether Go reads a number of that spelling as that type."""
    if kind not in INTEGERS:
        return abs(float(spelling)) != float("inf")
    if not spelling.removeprefix("-").isdigit() or len(spelling) > 20:
        return False
    bound = 1 << INTEGERS[kind] - 1
    return -bound <= int(spelling) < bound
