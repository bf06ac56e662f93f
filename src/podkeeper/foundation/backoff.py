"""Exponential back-off per key, in client-go's shape: base, doubled at each failure up to a cap, reset on success."""

from __future__ import annotations

from collections.abc import Hashable


class BackOff:
    """Delays in seconds. ``base`` after the first failure, doubled each time, at most ``cap``."""

    def __init__(self, base: float, cap: float) -> None:
        self._base, self._cap = base, cap
        self._failures: dict[Hashable, int] = {}

    def next_delay(self, key: Hashable) -> float:
        """Counts one more failure of ``key`` and returns how long to wait before the next try."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        return float(min(self._base * 2 ** min(count, 62), self._cap))

    def failures(self, key: Hashable) -> int:
        """How often ``key`` has failed since its last success."""
        return self._failures.get(key, 0)

    def reset(self, key: Hashable) -> None:
        """Forgets the failures of ``key``."""
        self._failures.pop(key, None)
