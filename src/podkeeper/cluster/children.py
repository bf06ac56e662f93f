"""What a component process and its supervisor say to each other: two pipes, no polling.

supervisor --(parent pipe: held open)--> component     its end-of-file means that the supervisor is gone
supervisor <--(ready pipe: one line)---- component     written once, when the component does its work
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator

PARENT_FD = "PODKEEPER_PARENT_FD"
READY_FD = "PODKEEPER_READY_FD"


def tell_ready() -> None:
    """Tells the supervisor, if there is one, that this component does its work. Only the first call counts."""
    descriptor = os.environ.pop(READY_FD, "")
    if descriptor:
        with contextlib.suppress(BrokenPipeError):
            os.write(int(descriptor), b"ready\n")
        os.close(int(descriptor))


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
