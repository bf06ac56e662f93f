"""Many writes of one kind: a few first, then ever more at once, so that a refusal is not earned hundreds of times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from podkeeper.api.errors import ApiError


async def slow_start(count: int, create: Callable[[], Awaitable[None]]) -> None:
    """Calls ``create`` 1, 2, 4, ... times at once, ``count`` times in all. Raises the first ApiError of a batch when
    the batch is over; no further one is begun."""
    size = 1
    while count > 0:
        size = min(size, count)
        await at_once(create for _ in range(size))
        count -= size
        size *= 2


async def at_once(writes: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Runs all writes beside one another to their end; raises the first ApiError that there was."""
    refused: list[ApiError] = []

    async def run(write: Callable[[], Awaitable[None]]) -> None:
        try:
            await write()
        except ApiError as error:
            refused.append(error)

    async with asyncio.TaskGroup() as tasks:
        for each in writes:
            tasks.create_task(run(each))
    if refused:
        raise refused[0]
