"""Two ways to wait: for a ring or a deadline, and for work that something else may interrupt."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from podkeeper.foundation.clock import Clock

T = TypeVar("T")


class Interrupted(Exception):
    """Work was given up because something more urgent happened."""


class Alarm:
    """Rings when somebody calls ``ring`` or a deadline passes; many rings before a wait count as one."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._rung = clock, asyncio.Event()

    def ring(self) -> None:
        """Ends the present or the next wait."""
        self._rung.set()

    async def wait(self, deadline: float | None = None) -> None:
        """Returns after a ring, or when the wall clock reaches ``deadline``."""
        if deadline is None or self._rung.is_set():
            await self._rung.wait()
        elif deadline > self._clock.time():
            sleeper = self._clock.sleep(deadline - self._clock.time())
            await first_of(self._rung.wait(), sleeper)
        self._rung.clear()


async def first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Runs all and returns when the first one ends; the others are cancelled. Its error is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``. Raises Interrupted, with the work cancelled, when ``event`` is set first."""
    if event.is_set():
        work.close()
        raise Interrupted
    task = asyncio.ensure_future(work)
    await first_of(event.wait(), _settled(task))
    if task.cancelled():
        raise Interrupted
    return task.result()


async def _settled(task: asyncio.Future[Any]) -> None:
    """Waits for the task's end; when the waiting is cancelled so is the task, and its end is awaited."""
    try:
        await asyncio.wait((task,))
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))


async def within(seconds: float, work: Coroutine[Any, Any, T], clock: Clock) -> T:
    """The result of ``work``. Raises TimeoutError, with the work cancelled, after ``seconds`` of the clock."""
    task = asyncio.ensure_future(work)
    await first_of(clock.sleep(seconds), _settled(task))
    if task.cancelled():
        raise TimeoutError
    return task.result()


async def all_settled(*works: Coroutine[Any, Any, object]) -> None:
    """Runs all to their ends, whatever happens to one of them; then raises the first error, if any."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
