"""Events collected, and handed on many at a time, so that no request waits for who takes them.

taken --> buffer --full batch, or the wait is over--> as many batches a second as allowed --> handed on
      \\--buffer full--> lost, and counted

Figures and meanings are upstream's (audit-log-batch-*, audit-webhook-batch-*).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from podkeeper.apiserver.audit.options import BatchOptions
from podkeeper.foundation.clock import Clock

#: Seconds for what is still there when the server stops.
LAST_PATIENCE = 5.0
Lines = Sequence[bytes]


class Batches:
    """Collects events, which are lines of JSON, for ``deliver``. ``lost`` is told how many had no room."""

    def __init__(
        self,
        options: BatchOptions,
        deliver: Callable[[Lines], Coroutine[Any, Any, None]],
        lost: Callable[[int], None],
        clock: Clock,
    ) -> None:
        self._options, self._deliver, self._lost, self._clock = options, deliver, lost, clock
        self._waiting: deque[bytes] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._some, self._full = asyncio.Event(), asyncio.Event()
        self._tokens, self._counted = float(options.burst), clock.monotonic()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, line: bytes) -> bool:
        """Keeps one event; False where there is no room."""
        if len(self._waiting) >= self._options.buffer:
            self._lost(1)
            return False
        self._waiting.append(line)
        self._some.set()
        if len(self._waiting) >= self._options.most:
            self._full.set()
        return True

    async def run(self) -> None:
        """Hands batches on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._some.wait()
                await self._collect()
                await self._throttle()
                sending = tasks.create_task(self._deliver(self._batch()))
                self._sending.add(sending)
                sending.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Hands on what is still there, while ``run`` still runs; what takes too long is lost."""
        try:
            async with asyncio.timeout(LAST_PATIENCE):
                while self._waiting:
                    await self._deliver(self._batch())
                if self._sending:
                    await asyncio.wait(self._sending)
        except TimeoutError:
            self._lost(len(self._waiting))
            self._waiting.clear()

    async def _collect(self) -> None:
        """Waits for a whole batch, or as long as an event may wait."""
        async with asyncio.TaskGroup() as tasks:
            timer = tasks.create_task(self._clock.sleep(self._options.wait))
            full = tasks.create_task(self._full.wait())
            await asyncio.wait([timer, full], return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            full.cancel()

    async def _throttle(self) -> None:
        """A token bucket: so many at once, then so many a second."""
        rate, burst = self._options.rate, self._options.burst
        if not rate:
            return
        now = self._clock.monotonic()
        self._tokens = min(float(burst), self._tokens + (now - self._counted) * rate) - 1
        self._counted = now
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / rate)

    def _batch(self) -> Lines:
        """As many as go together; one goes alone, however long it is."""
        batch: list[bytes] = []
        size = 0
        while self._waiting and len(batch) < self._options.most:
            size += len(self._waiting[0])
            if batch and self._options.largest and size > self._options.largest:
                break
            batch.append(self._waiting.popleft())
        if len(self._waiting) < self._options.most:
            self._full.clear()
        if not self._waiting:
            self._some.clear()
        return batch
