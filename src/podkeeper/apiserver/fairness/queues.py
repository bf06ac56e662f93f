"""The queues of one priority level: where a request waits, and which is next. State alone: no waiting, no clock.

A flow has a hand of queues, dealt by its hash, and joins the shortest. Between queues, start-time fair queueing: a
request's start is the later of the virtual time and its queue's last end, its end is start plus seats; the earliest
start goes next and becomes the virtual time. A flow that asks for more than its part so falls behind all others.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence


class Waiting:
    """A request in a queue. ``wake`` is called when it may run; ``described`` is for those who look at the queues."""

    __slots__ = ("described", "done", "queue", "seats", "start", "wake")

    def __init__(self, seats: int, wake: Callable[[], None], described: object = None) -> None:
        self.seats, self.wake, self.described = seats, wake, described
        self.queue, self.start, self.done = 0, 0.0, False


class Queues:
    """``count`` queues, hands of ``hand`` of them, each at most ``length`` long."""

    def __init__(self, count: int, hand: int, length: int) -> None:
        self.count, self.hand, self.length = count, min(hand, count), length
        self._queues: dict[int, deque[Waiting]] = {}
        self._ends: dict[int, float] = {}
        self._heads: list[tuple[float, int, Waiting]] = []
        self._tickets = itertools.count()
        self._now = 0.0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<Queues {len(self._queues)} of {self.count} active, {self._size} waiting, at {self._now}>"

    def join(self, flow_hash: int, waiting: Waiting) -> bool:
        """Puts a request into the shortest queue of its flow's hand; False when that is full."""
        index = min(deal(flow_hash, self.count, self.hand), key=self._length_of)
        queue = self._queues.setdefault(index, deque())
        if len(queue) >= self.length:
            return False
        waiting.queue = index
        waiting.start = max(self._now, self._ends.get(index, 0.0))
        self._ends[index] = waiting.start + waiting.seats
        queue.append(waiting)
        self._size += 1
        if len(queue) == 1:
            self._show(waiting)
        return True

    def head(self) -> Waiting | None:
        """The request that is next."""
        while self._heads:
            waiting = self._heads[0][2]
            if not waiting.done and self._is_first(waiting):
                return waiting
            heapq.heappop(self._heads)
        return None

    def take(self) -> Waiting:
        """Removes the request that is next."""
        waiting = self.head()
        if waiting is None:
            raise LookupError("nothing waits")
        self._now = max(self._now, waiting.start)
        self.leave(waiting)
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """Removes a request wherever it stands; one that has left already stays away."""
        if waiting.done:
            return
        waiting.done = True
        self._size -= 1
        queue = self._queues[waiting.queue]
        was_first = queue[0] is waiting
        queue.remove(waiting)
        if not queue:
            del self._queues[waiting.queue]
        elif was_first:
            self._show(queue[0])
        if not self._size:
            self._forget()

    def contents(self) -> dict[int, Sequence[Waiting]]:
        """Who waits, by the number of the queue."""
        return {index: tuple(queue) for index, queue in sorted(self._queues.items())}

    def _length_of(self, index: int) -> int:
        queue = self._queues.get(index)
        return sum(waiting.seats for waiting in queue) if queue else 0

    def _is_first(self, waiting: Waiting) -> bool:
        queue = self._queues.get(waiting.queue)
        return queue is not None and queue[0] is waiting

    def _show(self, waiting: Waiting) -> None:
        heapq.heappush(self._heads, (waiting.start, next(self._tickets), waiting))

    def _forget(self) -> None:
        """With nobody waiting there is nothing to be fair about: all begin anew."""
        self._ends.clear()
        self._heads.clear()
        self._now = 0.0


def deal(flow_hash: int, deck: int, hand: int) -> list[int]:
    """``hand`` different numbers below ``deck``, the same for the same hash; few hashes share a whole hand."""
    cards: list[int] = []
    for dealt in range(hand):
        flow_hash, card = divmod(flow_hash, deck - dealt)
        for earlier in sorted(cards):
            if card < earlier:
                break
            card += 1
        cards.append(card)
    return cards
