"""Semantic versions: ``semver("1.2.3").major()``; with ``true``, ``v1.2`` and ``01.2.3`` are read too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import ClassVar

from podkeeper.api.cel import types
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import EvaluationError

semvers = Library("kubernetes.Semver", since=(1, 33))

_NUMBER = r"(0|[1-9][0-9]{0,18})"
_IDENTIFIERS = r"([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?", re.ASCII)
_LOOSE = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?([-+].*)?", re.DOTALL | re.ASCII)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Semver:
    """A version. Builds (behind ``+``) don't count when versions are compared."""

    numbers: tuple[int, int, int]
    before: tuple[str, ...]
    cel_type: ClassVar[Type] = types.opaque("kubernetes.Semver")

    @property
    def _order(self) -> tuple[tuple[int, int, int], bool, list[tuple[bool, int, str]]]:
        """A release comes after what was before it; numbers come before words."""
        parts = [(not each.isdigit(), int(each) if each.isdigit() else 0, each) for each in self.before]
        return self.numbers, not self.before, [(word, number, each if word else "") for word, number, each in parts]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._order == other._order

    def __lt__(self, other: Semver) -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash((self.numbers, self.before))


def _parse(text: str, normalize: bool = False) -> Semver:
    match = _VERSION.fullmatch(_normalized(text) if normalize else text)
    parts = tuple((match[4] or "").split(".")) if match and match[4] else ()
    if match is None or any(each.isdigit() and each != "0" and each.startswith("0") for each in parts):
        raise EvaluationError(f'No Major.Minor.Patch elements found: "{text}"')
    return Semver((int(match[1]), int(match[2]), int(match[3])), parts)


def _normalized(text: str) -> str:
    match = _LOOSE.fullmatch(text)
    if match is None:
        return text
    numbers = ".".join((each or "0").lstrip("0") or "0" for each in match.groups()[:3])
    return numbers + (match[4] or "")


@semvers.function("semver(string) -> kubernetes.Semver", "semver(string, bool) -> kubernetes.Semver")
def semver(text: str, normalize: bool = False) -> Semver:
    return _parse(text, normalize)


@semvers.function("isSemver(string) -> bool", "isSemver(string, bool) -> bool")
def is_semver(text: str, normalize: bool = False) -> bool:
    try:
        return bool(_parse(text, normalize))
    except EvaluationError:
        return False


@semvers.method("major(kubernetes.Semver) -> int")
def major(value: Semver) -> int:
    return value.numbers[0]


@semvers.method("minor(kubernetes.Semver) -> int")
def minor(value: Semver) -> int:
    return value.numbers[1]


@semvers.method("patch(kubernetes.Semver) -> int")
def patch(value: Semver) -> int:
    return value.numbers[2]


@semvers.method("isLessThan(kubernetes.Semver, kubernetes.Semver) -> bool")
def is_less(value: Semver, other: Semver) -> bool:
    return value < other


@semvers.method("isGreaterThan(kubernetes.Semver, kubernetes.Semver) -> bool")
def is_greater(value: Semver, other: Semver) -> bool:
    return value > other


@semvers.method("compareTo(kubernetes.Semver, kubernetes.Semver) -> int")
def compare(value: Semver, other: Semver) -> int:
    return (value > other) - (value < other)
