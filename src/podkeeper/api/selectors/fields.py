"""Field selectors: ``spec.nodeName=a,status.phase!=Running`` over the few fields that a kind offers.

A value escapes ``\\``, ``,`` and ``=`` with a backslash. Which fields a kind has is its strategy's business; a field
that the mapping lacks counts as the empty string. Errors are SelectorError with upstream's texts. Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache

from msgspec import Struct

from podkeeper.api.selectors.labels import SelectorError

__all__ = ["EVERYTHING", "Requirement", "Selector", "SelectorError", "escape", "parse"]

_OPERATORS = ("!=", "==", "=")


class Requirement(Struct, frozen=True):
    """A field, and the value that it must have, or must not have when ``negated``."""

    field: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field}{'!=' if self.negated else '='}{escape(self.value)}"


class Selector(Struct, frozen=True, dict=True):
    """Requirements, all of which must hold."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object whose selectable fields are these is selected."""
        return all((fields.get(r.field, "") == r.value) != r.negated for r in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.requirements

    @cached_property
    def equalities(self) -> Mapping[str, str]:
        """The fields that a match must have with exactly this value, for a look-up in an index."""
        return {r.field: r.value for r in self.requirements if not r.negated}

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()


def escape(value: str) -> str:
    """A value as it stands in a selector's text."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


@lru_cache(maxsize=1024)
def parse(text: str) -> Selector:
    """A selector from a query's text; the empty text selects everything. Raises SelectorError."""
    return Selector(tuple(_requirement(text, term) for term in sorted(_terms(text)) if term))


def _terms(text: str) -> Iterator[str]:
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == ",":
            yield text[start:at]
            start = at + 1
        at += 1
    yield text[start:]


def _requirement(text: str, term: str) -> Requirement:
    at = 0
    while at < len(term):
        if term[at] == "\\":
            at += 2
            continue
        for operator in _OPERATORS:
            if term.startswith(operator, at):
                return Requirement(term[:at], _unescape(term[at + len(operator) :]), operator == "!=")
        at += 1
    raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescape(value: str) -> str:
    if "\\" not in value and "," not in value and "=" not in value:
        return value
    plain: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "=") or not escaped:
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            plain.append(escaped)
        elif character in ",=":
            # upstream prints the character's number here
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            plain.append(character)
    return "".join(plain)
