"""What a component process and its supervisor say to each other: two pipes, no polling.

supervisor --(parent pipe: held open)--> component     its end-of-file means that the supervisor is gone
supervisor <--(ready pipe: one line)---- component     written once, when the component does its work
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

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
    """Yields an event that is set by SIGTERM, SIGINT or the end of the supervisor."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parent = int(os.environ.get(PARENT_FD, "-1"))
    if parent >= 0:
        loop.add_reader(parent, stop.set)
    try:
        yield stop
    finally:
        if parent >= 0:
            loop.remove_reader(parent)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
