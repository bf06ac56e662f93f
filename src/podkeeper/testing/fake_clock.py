"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

#: Turns of the loop that let woken tasks come to rest; a longer chain of awaits needs ``settle`` with more turns.
TURNS = 50


class FakeClock:
    """Implements ``foundation.clock.Clock``. ``advance`` wakes sleepers one due time after the other, earliest first
    (at one time: in order of arrival), and lets the tasks that they wake come to rest before time moves on."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start, self._now = start, 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._tickets = itertools.count()
        self._arrivals: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        due = [round(due - self._now, 3) for due, _, _ in sorted(self._sleepers)]
        return f"<FakeClock at +{self._now} s, sleepers due in {due} s>"

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._start + self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    @property
    def sleepers(self) -> int:
        """How many tasks are sleeping."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Waits until the test has advanced the clock by ``seconds``; at least one turn of the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._tickets), future))
        for arrival in self._arrivals:
            if not arrival.done():
                arrival.set_result(None)
        await future

    async def advance(self, seconds: float) -> None:
        """Moves time forward, stopping at every moment at which a sleeper is due."""
        target = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():  # its task was cancelled
                continue
            self._now = max(self._now, due)
            future.set_result(None)
            await self.settle()
        self._now = target

    async def settle(self, turns: int = TURNS) -> None:
        """Lets every task run that can, without moving time."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def wait_for_sleepers(self, count: int = 1) -> None:
        """Returns once ``count`` tasks are sleeping; for tasks that do real I/O before they sleep."""
        while self.sleepers < count:
            arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._arrivals.append(arrival)
            try:
                await arrival
            finally:
                self._arrivals.remove(arrival)
