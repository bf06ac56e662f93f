"""Node ports. Several ports of one Service may share a number when their protocols differ."""

from __future__ import annotations

from itertools import chain
from random import Random, SystemRandom


class PortError(ValueError):
    """A port cannot be had; the message is upstream's."""


class PortPool:
    """Ports of a range that are taken, by number."""

    def __init__(self, first: int, last: int, random: Random | None = None) -> None:
        self._first, self._last = first, last
        size = last - first + 1
        # As upstream: the static band is at least 16 and at most 128 ports, and none in a small range.
        self._static = min(max(size // 32, 16), 128) if size > 16 else 0
        self._taken: set[int] = set()
        self._random = random or SystemRandom()

    def __repr__(self) -> str:
        return f"<PortPool {self._first}-{self._last}: {len(self._taken)} taken>"

    def take(self, port: int) -> None:
        """Claims one port. Raises PortError when it is taken or out of range."""
        if not self._first <= port <= self._last:
            raise PortError(
                f"provided port is not in the valid range. The range of valid ports is {self._first}-{self._last}"
            )
        if port in self._taken:
            raise PortError("provided port is already allocated")
        self._taken.add(port)

    def take_any(self) -> int:
        """Claims a free port, outside the static band as long as there is one. Raises PortError when full."""
        for low, high in ((self._first + self._static, self._last), (self._first, self._first + self._static - 1)):
            port = self._free(low, high)
            if port is not None:
                self._taken.add(port)
                return port
        raise PortError("range is full")

    def give_back(self, port: int) -> None:
        """Frees a port; one that was not taken does not matter."""
        self._taken.discard(port)

    def _free(self, low: int, high: int) -> int | None:
        if high < low:
            return None
        start = self._random.randint(low, high)
        for port in chain(range(start, high + 1), range(low, start)):
            if port not in self._taken:
                return port
        return None
