"""Compacts a store as time goes by, so that history costs a bounded amount of space.

As upstream's API server: every five minutes, down to where the store was five minutes ago. A burst of writes compacts
earlier: readers that page or resume keep at least half of ``revisions``, or of ``history`` in bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from podkeeper.foundation.clock import Clock
from podkeeper.storage.store import StoreClosed, StoreError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 300.0
REVISIONS = 200_000
HISTORY_BYTES = 512 << 20


class Compactable(Protocol):
    """What compaction needs of a store; every engine has it."""

    @property
    def revision(self) -> int: ...

    @property
    def oldest(self) -> int: ...

    async def compact(self, revision: int) -> None: ...

    async def wait_for_revision(self, revision: int) -> None:
        """Returns once ``revision`` is acknowledged. Raises StoreClosed when the store closes before."""
        ...

    async def wait_for_growth(self, size: int) -> None:
        """Returns once values of ``size`` bytes more are written. Raises StoreClosed when the store closes before."""
        ...


async def compact_periodically(
    store: Compactable,
    clock: Clock,
    *,
    interval: float = INTERVAL_SECONDS,
    revisions: int = REVISIONS,
    history: int = HISTORY_BYTES,
) -> None:
    """Compacts until cancelled or the store is closed. A step that fails is logged and tried again at the next."""
    before = store.revision
    while True:
        try:
            passing = (clock.sleep(interval), store.wait_for_growth(history // 2))
            if await _burst(store.wait_for_revision(store.revision + revisions), *passing):
                before = store.revision - revisions // 2
            await _compact(store, before)
        except StoreClosed:
            return
        before = store.revision


async def _compact(store: Compactable, revision: int) -> None:
    if revision <= store.oldest:
        return
    try:
        await store.compact(revision)
    except StoreClosed:
        raise
    except StoreError as error:
        log.error("compacting the store to revision %d failed, history grows: %s", revision, error)
    else:
        log.debug("compacted the store to revision %d", revision)


async def _burst(many: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]) -> bool:
    """Waits for the first of them; whether that was ``many``."""
    waiting = [asyncio.ensure_future(each) for each in (many, *others)]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        return waiting[0] in done
    finally:
        for each in waiting:
            each.cancel()
