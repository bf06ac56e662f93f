"""When a component's event loop ends: at a signal, or at the end of its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator

from podkeeper.cluster.pipes import PARENT_FD


@contextlib.asynccontextmanager
async def stop_on_request() -> AsyncIterator[asyncio.Event]:
    """Yields an event that is set by SIGTERM, SIGINT or the end of the supervisor: for who ends in steps of its own."""
    stop = asyncio.Event()
    with _request(stop.set):
        yield stop


@contextlib.asynccontextmanager
async def until_stopped() -> AsyncIterator[None]:
    """Cancels its body at the first such request, wherever it waits, and ends well once the body has cleared up."""
    requested = asyncio.Event()

    def stop() -> None:
        if not requested.is_set():
            requested.set()
            scope.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as scope:
            with _request(stop):
                yield
    except TimeoutError:
        if not scope.expired():
            raise


@contextlib.contextmanager
def _request(act: Callable[[], None]) -> Iterator[None]:
    """Has ``act`` called at SIGTERM, SIGINT or the end of the supervisor."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)
    parent = int(os.environ.get(PARENT_FD, "-1"))

    def parent_ended() -> None:
        loop.remove_reader(parent)  # its end-of-file would be told again and again
        act()

    if parent >= 0:
        loop.add_reader(parent, parent_ended)
    try:
        yield
    finally:
        if parent >= 0:
            loop.remove_reader(parent)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
