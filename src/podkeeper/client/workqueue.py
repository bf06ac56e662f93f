"""Keys to work on: one key, one worker, nothing twice, in order of arrival.

```
          add                        get                      done
 absent ───────► queued (dirty) ───────────► processing ───────────► absent
   │ add_after      ▲                          │  add: dirty again      │
   └──► delayed ────┘ due                      └── queued when done ◄───┘
```
Shape and semantics are client-go's ``util/workqueue``: a key added while it is being worked on is worked on again
afterwards; a key added twice with delays is due at the earlier time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from podkeeper.client.queue_figures import QueueTally
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock, SystemClock

K = TypeVar("K", bound=Hashable)

BASE_DELAY, LONGEST_DELAY = 0.005, 1000.0  # seconds, client-go's default per-item back-off


class QueueShutDown(Exception):
    """No key is left and none will come."""


class WorkQueue(Generic[K]):
    """Lives on one event loop. ``run`` must be running somewhere for delayed keys to arrive."""

    def __init__(
        self, *, clock: Clock | None = None, backoff: BackOff | None = None, tally: QueueTally | None = None
    ) -> None:
        """``tally`` is where it is counted."""
        self._clock = clock or SystemClock()
        self._backoff = backoff or BackOff(BASE_DELAY, LONGEST_DELAY)
        self._queue: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._tickets = itertools.count()
        self._sooner = asyncio.Event()
        self._shut_down = False
        self._tally = tally or QueueTally(self._clock)

    def __repr__(self) -> str:
        state = " shut down" if self._shut_down else ""
        return (
            f"<WorkQueue queued={len(self._queue)} processing={len(self._processing)} delayed={len(self._due)}{state}>"
        )

    def __len__(self) -> int:
        """How many keys wait for a worker."""
        return len(self._queue)

    def add(self, key: K) -> None:
        """Queues ``key``, unless it is queued already; while it is worked on: once more afterwards."""
        if self._shut_down or key in self._dirty:
            return
        self._dirty.add(key)
        self._tally.added(key)
        if key not in self._processing:
            self._queue.append(key)
            self._wake_one()

    def add_after(self, key: K, seconds: float) -> None:
        """Queues ``key`` in ``seconds``; an earlier due time of the same key stays."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if self._shut_down or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._tickets), key))
        if self._heap[0][2] == key:
            self._sooner.set()

    def add_rate_limited(self, key: K) -> None:
        """Queues ``key`` after its back-off, which grows with every call until ``forget``."""
        self._tally.retries += 1
        self.add_after(key, self._backoff.next_delay(key))

    def forget(self, key: K) -> None:
        """``key`` succeeded: its next back-off starts small. Does not touch the queue."""
        self._backoff.reset(key)

    def failures(self, key: K) -> int:
        """How often ``key`` was added rate-limited since it was forgotten."""
        return self._backoff.failures(key)

    async def get(self) -> K:
        """The next key, now this worker's until ``done``. Raises QueueShutDown."""
        while not self._queue:
            if self._shut_down:
                raise QueueShutDown
            await self._wait_for_key()
        key = self._queue.popleft()
        self._processing.add(key)
        self._dirty.discard(key)
        self._tally.taken(key)
        return key

    def done(self, key: K) -> None:
        """The worker is through with ``key``, however it went."""
        self._processing.discard(key)
        self._tally.done(key)
        if key in self._dirty:
            self._queue.append(key)
            self._wake_one()

    def shut_down(self) -> None:
        """Takes no more keys; ``get`` hands out what is queued and then raises."""
        self._shut_down = True
        self._due.clear()
        self._heap.clear()
        for getter in self._getters:
            _wake(getter)

    async def run(self) -> None:
        """Moves delayed keys into the queue as they become due. Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._sooner.clear()
                sleeper = tasks.create_task(self._queue_when_due()) if self._heap else None
                await self._sooner.wait()
                if sleeper is not None:
                    sleeper.cancel()

    async def _queue_when_due(self) -> None:
        while self._heap:
            due, _, key = self._heap[0]
            if (wait := due - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
                continue
            heapq.heappop(self._heap)
            if self._due.get(key) == due:  # else an earlier time took its place
                del self._due[key]
                self.add(key)

    async def _wait_for_key(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            # The key that this getter was woken for is someone else's now.
            if getter.done() and not getter.cancelled() and self._queue:
                self._wake_one()
            raise
        finally:
            if getter in self._getters:
                self._getters.remove(getter)

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return


def _wake(getter: asyncio.Future[None]) -> None:
    if not getter.done():
        getter.set_result(None)
