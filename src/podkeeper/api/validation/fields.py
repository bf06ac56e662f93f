"""Field errors in upstream's words: a list of causes that grows while an object is read, and paths into the object.

A path is plain text (``spec.containers[0].name``); checks pass it down and extend it only where it is needed.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/ (StatusCause).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from podkeeper.api.errors import Cause
from podkeeper.api.names import Check
from podkeeper.api.quantity import Quantity

IMMUTABLE = "field is immutable"
#: In place of a value that would only make a message long.
OMITTED = object()
NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"


class Found(list[Cause]):
    """The mistakes found so far."""

    __slots__ = ()

    def required(self, field: str, why: str = "") -> None:
        """A value is missing."""
        self._add("FieldValueRequired", "Required value", field, why)

    def forbidden(self, field: str, why: str) -> None:
        """A value, good by itself, that may not stand here."""
        self._add("FieldValueForbidden", "Forbidden", field, why)

    def invalid(self, field: str, value: object, why: str) -> None:
        """A malformed value."""
        what = "Invalid value" if value is OMITTED else f"Invalid value: {shown(value)}"
        self._add("FieldValueInvalid", what, field, why)

    def unsupported(self, field: str, value: object, supported: Iterable[str]) -> None:
        """A value outside an enumeration; the supported ones are shown in the order given, sets sorted."""
        ordered = sorted(supported) if isinstance(supported, frozenset) else supported
        listed = ", ".join(shown(each) for each in ordered)
        why = f"supported values: {listed}" if listed else ""
        self._add("FieldValueNotSupported", f"Unsupported value: {shown(value)}", field, why)

    def duplicate(self, field: str, value: object, why: str = "") -> None:
        """A value that must be unique and is there already."""
        self._add("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field, why)

    def not_found(self, field: str, value: object) -> None:
        """A value that refers to nothing."""
        self._add("FieldValueNotFound", f"Not found: {shown(value)}", field, "")

    def too_long(self, field: str, limit: int) -> None:
        """Text of more than ``limit`` bytes."""
        self._add("FieldValueTooLong", "Too long", field, f"may not be more than {limit} bytes")

    def too_many(self, field: str, count: int, limit: int) -> None:
        """A list of more than ``limit`` items."""
        items = "item" if limit == 1 else "items"
        self._add("FieldValueTooMany", f"Too many: {count}", field, f"must have at most {limit} {items}")

    def check(self, field: str, value: str, check: Check) -> None:
        """One mistake for each message that ``check`` has about the value."""
        for message in check(value):
            self.invalid(field, value, message)

    def one_of(self, field: str, value: str, supported: Iterable[str]) -> None:
        """A value of an enumeration, which must be given."""
        if value not in supported:
            if value:
                self.unsupported(field, value, supported)
            else:
                self.required(field)

    def not_negative(self, field: str, value: int | None) -> None:
        """A number, if given, of 0 or more."""
        if value is not None and value < 0:
            self.invalid(field, value, NOT_NEGATIVE)

    def positive(self, field: str, value: int | None) -> None:
        """A number, if given, above 0."""
        if value is not None and value <= 0:
            self.invalid(field, value, POSITIVE)

    def unchanged(self, field: str, new: object, old: object) -> None:
        """A field that keeps its first value."""
        if new != old:
            self.invalid(field, new, IMMUTABLE)

    def _add(self, reason: str, message: str, field: str, why: str) -> None:
        self.append(Cause(reason, f"{message}: {why}" if why else message, field))


def shown(value: object) -> str:
    """A value as a message shows it: text quoted, numbers bare, everything else as JSON."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return msgspec.json.encode(value, enc_hook=_plain).decode()


def joined(at: str, name: str) -> str:
    """A member of the object at ``at``, which may be the root."""
    return f"{at}.{name}" if at else name


def keyed(at: str, mapping: Mapping[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """A map's entries: path, key and value."""
    return ((f"{at}[{key}]", key, value) for key, value in mapping.items())


def indexed(at: str, items: Sequence[Any]) -> Iterable[tuple[str, Any]]:
    """A list's items with their paths."""
    return ((f"{at}[{index}]", item) for index, item in enumerate(items))


def _plain(value: Any) -> Any:
    if isinstance(value, Quantity):
        return str(value)
    raise TypeError(type(value).__name__)
