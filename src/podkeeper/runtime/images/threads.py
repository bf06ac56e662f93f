"""Work that blocks a thread, done so that nobody else is harmed.

The event loop has a handful of threads for everyone. Who waits for another's lock must not take one: the holder may
need it to come to an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


async def run_to_end(action: Callable[..., T], *arguments: Any, executor: Executor | None = None) -> T:
    """Runs ``action`` on a thread, to its end even when the caller is cancelled: what it uses stays open until then."""
    future = asyncio.get_running_loop().run_in_executor(executor, action, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


async def wait_for_lock(handle: int, kind: int) -> None:
    """flock(2) with ``kind`` (LOCK_SH or LOCK_EX), waiting on a thread of its own if it must be waited for."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        await _wait_for_lock(os.dup(handle), kind)


async def _wait_for_lock(handle: int, kind: int) -> None:
    """Owns ``handle``: a caller who has given up closes his own, and with this one the lock is free again."""
    loop = asyncio.get_running_loop()
    locked = loop.create_future()

    def tell(error: OSError | None) -> None:
        if locked.done():
            return
        if error is None:
            locked.set_result(None)
        else:
            locked.set_exception(error)

    def wait() -> None:
        outcome = None
        try:
            fcntl.flock(handle, kind)
        except OSError as error:
            outcome = error
        finally:
            os.close(handle)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=wait, name="file-lock", daemon=True).start()
    await locked
