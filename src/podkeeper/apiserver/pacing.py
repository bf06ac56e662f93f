"""So many streams are written to in a turn of the event loop, the others in the turns that follow.

A change that thousands watch would otherwise keep every request waiting until the last of them has it. Requests come in
between; what changes meanwhile goes to those who still wait together with what they wait for, in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

#: Streams that are written to in one turn: half a millisecond's work.
TURN = 32


class Paced(Protocol):
    """Somebody with something to write."""

    def catch_up(self) -> None:
        """Writes everything that waits. Does not raise."""
        ...


class Pacer:
    """Gives out turns, first come, first served."""

    def __init__(self, turn: int = TURN) -> None:
        self._turn = self._left = turn
        self._queue: deque[Paced] = deque()
        self._loop = asyncio.get_running_loop()
        self._called = False

    def __len__(self) -> int:
        return len(self._queue)

    def may_write(self) -> bool:
        """Whether the caller may write now; if so, that counts."""
        if self._queue or not self._left:
            return False
        self._left -= 1
        self._call()
        return True

    def enqueue(self, who: Paced) -> None:
        """Has ``who.catch_up`` called when its turn comes, once for each call of this."""
        self._queue.append(who)
        self._call()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._called, self._left = False, self._turn
        while self._queue and self._left:
            self._left -= 1
            self._queue.popleft().catch_up()
        if self._queue:
            self._call()
