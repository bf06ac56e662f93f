"""Ending the processes of a group and knowing when they are gone: pidfds tell, nothing is polled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable


async def wait_readable(descriptor: int) -> None:
    """Waits until ``descriptor`` is readable; a pidfd is, from its process's exit on."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _finish, done)
    try:
        await done
    finally:
        loop.remove_reader(descriptor)


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def open_pidfds(pids: Iterable[int]) -> list[int]:
    """Descriptors of those processes that are there still; the caller closes them."""
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, OSError):
            found.append(os.pidfd_open(pid))
    return found


async def kill_until_empty(processes: Callable[[], Iterable[int]], strike: Callable[[], None]) -> None:
    """Repeats ``strike`` (which signals everyone) until ``processes`` answers nobody."""
    while descriptors := open_pidfds(processes()):
        try:
            strike()
            for descriptor in descriptors:
                await wait_readable(descriptor)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def send(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    """Signals each process that is there still."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
