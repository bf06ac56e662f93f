"""Resource quantities: exact amounts such as ``500m``, ``1.5Gi`` or ``12e6``, printed as upstream prints them.

An amount is kept as a whole number of nano-units, the finest step that the API knows (anything finer rounds away
from zero), beside the family of its suffix, which decides how it prints. Values are immutable, ordered and hashable,
and equal when their amounts are, whatever their family. Parsing is cached: a cluster repeats few spellings very often.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache

_NANO = 10**9
_MAX_INT64 = 2**63 - 1
_FAST_DIGITS = 18
_MAX_EXPONENT = 400
_GRAMMAR = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)\Z")
_EXPONENT = re.compile(r"[eE][-+]?[0-9]+\Z")

WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_SUFFIX = "unable to parse quantity's suffix"
OUT_OF_RANGE = f"quantity's exponent is beyond {_MAX_EXPONENT}"


class QuantityError(ValueError):
    """The text is not a quantity; the message is upstream's."""


class Family(enum.Enum):
    """How a quantity prints: ``1500m`` and ``2M``, ``2Mi``, or ``2e6``."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_NAMES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


class Quantity:
    """``Quantity("1Gi")``, ``Quantity(2)`` or ``Quantity(0.5)``; raises QuantityError for a text that is none."""

    __slots__ = ("_family", "_nano", "_text")
    _family: Family
    _nano: int
    _text: str

    def __new__(cls, value: str | int | float = 0) -> Quantity:
        return _parse(value if isinstance(value, str) else _number_text(value))

    @classmethod
    def parse(cls, value: str | int | float) -> Quantity:
        """The same as calling the class: text or a JSON number to a quantity."""
        return cls(value)

    @classmethod
    def from_milli(cls, milli: int, family: Family = Family.DECIMAL) -> Quantity:
        """A quantity of that many thousandths, e.g. milli-cores."""
        return _make(milli * 10**6, family)

    @classmethod
    def from_value(cls, value: int, family: Family = Family.DECIMAL) -> Quantity:
        """A quantity of that many whole units, e.g. bytes."""
        return _make(value * _NANO, family)

    @property
    def family(self) -> Family:
        """The suffix family that it prints in."""
        return self._family

    def value(self) -> int:
        """The amount in whole units, rounded away from zero."""
        return _divide_up(self._nano, _NANO)

    def milli_value(self) -> int:
        """The amount in thousandths, rounded away from zero."""
        return _divide_up(self._nano, 10**6)

    def as_float(self) -> float:
        """The nearest float, for arithmetic that need not be exact."""
        return self._nano / _NANO

    def sign(self) -> int:
        """-1, 0 or 1."""
        return (self._nano > 0) - (self._nano < 0)

    def is_integer(self) -> bool:
        """Whether the amount is a whole number of units."""
        return self._nano % _NANO == 0

    def __bool__(self) -> bool:
        return self._nano != 0

    def __str__(self) -> str:
        if not self._text:
            self._text = _canonical(self._nano, self._family)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _make, (self._nano, self._family, self._text)

    def __hash__(self) -> int:
        return hash(self._nano)

    def __eq__(self, other: object) -> bool:
        return self._nano == other._nano if isinstance(other, Quantity) else NotImplemented

    def __lt__(self, other: Quantity) -> bool:
        return self._nano < other._nano

    def __le__(self, other: Quantity) -> bool:
        return self._nano <= other._nano

    def __gt__(self, other: Quantity) -> bool:
        return self._nano > other._nano

    def __ge__(self, other: Quantity) -> bool:
        return self._nano >= other._nano

    def __add__(self, other: Quantity) -> Quantity:
        return _make(self._nano + other._nano, self._family if self._nano else other._family)

    def __sub__(self, other: Quantity) -> Quantity:
        return _make(self._nano - other._nano, self._family if self._nano else other._family)

    def __neg__(self) -> Quantity:
        return _make(-self._nano, self._family)

    def __mul__(self, factor: int) -> Quantity:
        return _make(self._nano * factor, self._family)


def zero(family: Family = Family.DECIMAL) -> Quantity:
    """Nothing; a sum that starts from it takes the family of what is added first."""
    return _make(0, family)


def _make(nano: int, family: Family, text: str = "") -> Quantity:
    made = object.__new__(Quantity)
    made._nano, made._family, made._text = nano, family, text
    return made


def _number_text(value: int | float) -> str:
    if isinstance(value, bool):
        raise QuantityError(WRONG_FORMAT)
    return repr(value)


def _divide_up(amount: int, unit: int) -> int:
    return -(-amount // unit) if amount >= 0 else amount // unit


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    match = _GRAMMAR.match(text) if text else None
    if match is None:
        raise QuantityError(WRONG_FORMAT)
    sign, whole, fraction, suffix = match.groups()
    whole, fraction = whole or "0", fraction or ""
    family, exponent = _interpret(suffix)
    digits = int(whole + fraction)
    nano, exact = _to_nano(digits, len(fraction), family, exponent)
    plain = len(whole) + len(fraction) <= _FAST_DIGITS
    if family is Family.BINARY:
        nano = min(nano, _MAX_INT64 * _NANO)
    if family is Family.BINARY and 0 < nano < _NANO:
        family = Family.DECIMAL
    kept = text if exact and plain and _reads_canonical(whole, fraction, family, exponent) else ""
    return _make(-nano if sign == "-" else nano, family, kept)


def _interpret(suffix: str) -> tuple[Family, int]:
    if suffix in _DECIMAL_SUFFIXES:
        return Family.DECIMAL, _DECIMAL_SUFFIXES[suffix]
    if suffix in _BINARY_SUFFIXES:
        return Family.BINARY, _BINARY_SUFFIXES[suffix]
    if not _EXPONENT.match(suffix):
        raise QuantityError(WRONG_SUFFIX)
    exponent = int(suffix[1:]) if len(suffix) < 12 else _MAX_EXPONENT + 1
    if abs(exponent) > _MAX_EXPONENT:
        raise QuantityError(OUT_OF_RANGE)
    return Family.EXPONENT, exponent


def _to_nano(digits: int, places: int, family: Family, exponent: int) -> tuple[int, bool]:
    """Nano-units, and whether nothing had to be rounded (always up) to get there."""
    if family is Family.BINARY:
        digits, exponent = digits << exponent, 0
    scale = 9 + exponent - places
    if scale >= 0:
        return digits * 10**scale, True
    nano = _divide_up(digits, 10**-scale)
    return nano, nano * 10**-scale == digits


def _reads_canonical(whole: str, fraction: str, family: Family, exponent: int) -> bool:
    """Upstream keeps the text as it was written when a cheap look finds nothing to shorten."""
    if family is Family.BINARY:
        # the same thrift as upstream's: about 15 decimal digits in all, and no factor of 8 left
        precision = 14 - len(whole) - exponent * 3 // 10
        return not fraction and precision >= 0 and int(whole) & 7 != 0
    digits = whole + fraction
    scale = exponent - len(fraction)
    return scale >= -9 and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _canonical(nano: int, family: Family) -> str:
    if nano == 0:
        return "0"
    if family is Family.BINARY and nano % _NANO == 0 and abs(nano) >= 1024 * _NANO:
        return _binary_text(nano // _NANO)
    return _decimal_text(nano, family)


def _binary_text(value: int) -> str:
    power = 0
    while power < len(_BINARY_NAMES) - 1 and value & 1023 == 0:
        value >>= 10
        power += 1
    return f"{value}{_BINARY_NAMES[power]}"


def _decimal_text(nano: int, family: Family) -> str:
    limit = 18 if family is not Family.EXPONENT else _MAX_EXPONENT
    exponent = -9
    while exponent + 3 <= limit and nano % 1000 == 0:
        nano //= 1000
        exponent += 3
    if family is Family.EXPONENT:
        return f"{nano}e{exponent}" if exponent else str(nano)
    return f"{nano}{_DECIMAL_NAMES[exponent]}"
