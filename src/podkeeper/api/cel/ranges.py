"""Ranges of sizes and costs, which stop at the largest uint64 instead of passing it."""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """From ``low`` to ``high``, both of them included."""

    low: int
    high: int

    def __add__(self, other: Range) -> Range:
        return Range(min(MAX, self.low + other.low), min(MAX, self.high + other.high))

    def __mul__(self, other: Range) -> Range:
        return Range(min(MAX, self.low * other.low), min(MAX, self.high * other.high))

    def __or__(self, other: Range) -> Range:
        """What covers both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def times(self, factor: float) -> Range:
        """Scaled, rounded up."""
        return Range(_scaled(self.low, factor), _scaled(self.high, factor))


def exactly(amount: int) -> Range:
    return Range(amount, amount)


ZERO, ONE, UNKNOWN = exactly(0), exactly(1), Range(0, MAX)


def _scaled(amount: int, factor: float) -> int:
    """In doubles, as upstream computes it: large figures are the same to the last digit."""
    if amount > 0 and factor > 0 and float(amount) > float(MAX) / factor:
        return MAX
    return min(MAX, math.ceil(float(amount) * factor))
