"""Named formats: ``format.dns1123Label().validate(self.name)`` is none, or the list of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from podkeeper.api import names
from podkeeper.api.cel import types
from podkeeper.api.cel.libraries.urls import is_url
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import NONE, Optional
from podkeeper.api.structural.formats import CHECKS

formats = Library("format", since=(1, 31))


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its name; ``pattern_size`` is what its check costs, as the length of a pattern."""

    name: str
    check: Callable[[str], tuple[str, ...]]
    pattern_size: int
    cel_type: ClassVar[Type] = types.opaque("kubernetes.NamedFormat")


def _of_schema(name: str, message: str) -> Callable[[str], tuple[str, ...]]:
    """The format of that name in schemas as a check with one message."""
    return lambda text: () if CHECKS[name](text) else (message,)


def _uri(text: str) -> tuple[str, ...]:
    return () if is_url(text) else (f'parse "{text}": invalid URI for request',)


def _prefix(check: names.Check) -> Callable[[str], tuple[str, ...]]:
    return lambda text: names.for_prefix(check, text)


_FORMATS = {
    each.name: each
    for each in (
        Format("dns1123Label", names.dns_label, 30),
        Format("dns1123Subdomain", names.dns_subdomain, 60),
        Format("dns1035Label", names.dns_1035_label, 30),
        Format("qualifiedName", names.label_key, 60),
        Format("dns1123LabelPrefix", _prefix(names.dns_label), 30),
        Format("dns1123SubdomainPrefix", _prefix(names.dns_subdomain), 60),
        Format("dns1035LabelPrefix", _prefix(names.dns_1035_label), 30),
        Format("labelValue", names.label_value, 40),
        Format("uri", _uri, 1000),
        Format("uuid", _of_schema("uuid", "does not match the UUID format"), 60),
        Format("byte", _of_schema("byte", "invalid base64"), 30),
        Format("date", _of_schema("date", "invalid date"), 30),
        Format("datetime", _of_schema("date-time", "invalid datetime"), 30),
    )
}


def _declare(given: Format) -> None:
    @formats.function(f"format.{given.name}() -> kubernetes.NamedFormat")
    def of_name() -> Format:
        return given


for _format in _FORMATS.values():
    _declare(_format)


@formats.function("format.named(string) -> optional_type(kubernetes.NamedFormat)")
def named(name: str) -> Optional:
    return Optional(_FORMATS[name]) if name in _FORMATS else NONE


@formats.method("validate(kubernetes.NamedFormat, string) -> optional_type(list(string))")
def validate(given: Format, text: str) -> Optional:
    found = given.check(text)
    return Optional(list(found)) if found else NONE
