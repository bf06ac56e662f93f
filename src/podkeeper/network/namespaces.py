"""Doing something inside another network namespace, from a thread of its own that never serves anything else.

A namespace belongs to a thread: setns changes the calling one alone. The thread ends with the call, so a failure to
come back cannot leak into other work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from podkeeper.foundation import syscalls

T = TypeVar("T")


def enter_netns(descriptor: int) -> None:
    """Moves the calling thread into the network namespace behind ``descriptor``."""
    syscalls.enter_namespace(descriptor, syscalls.CLONE_NEWNET)


async def run_in_netns(descriptor: int, action: Callable[[], T]) -> T:
    """Runs ``action`` in a fresh thread inside the namespace and waits for its result; cancellation waits too."""

    def entered() -> T:
        enter_netns(descriptor)
        return action()

    return await run_in_thread(entered)


async def run_in_thread(action: Callable[[], T]) -> T:
    """Runs ``action`` in a fresh thread and waits until it is done, whatever happens to the caller meanwhile."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error it is a T

    def work() -> None:
        try:
            result, error = action(), None
        except BaseException as caught:  # noqa: BLE001 - it is handed to the waiting task
            loop.call_soon_threadsafe(settle, None, caught)
        else:
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="network", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise
