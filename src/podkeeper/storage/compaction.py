"""Compacts a store as time goes by, so that history costs a bounded amount of space.

As upstream's API server: every five minutes, down to where the store was five minutes ago. A burst of writes compacts
earlier: readers that page or resume keep at least half of ``revisions``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from podkeeper.foundation.clock import Clock
from podkeeper.storage.store import StoreClosed, StoreError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 300.0
REVISIONS = 200_000


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


async def compact_periodically(
    store: Compactable, clock: Clock, *, interval: float = INTERVAL_SECONDS, revisions: int = REVISIONS
) -> None:
    """Compacts until cancelled or the store is closed. A step that fails is logged and tried again at the next."""
    before = store.revision
    while True:
        try:
            if await _burst(store, clock, interval, revisions):
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


async def _burst(store: Compactable, clock: Clock, interval: float, revisions: int) -> bool:
    """Waits for ``interval``, but not for longer than it takes to write ``revisions``; True for the latter."""
    growing = asyncio.ensure_future(store.wait_for_revision(store.revision + revisions))
    passing = asyncio.ensure_future(clock.sleep(interval))
    try:
        await asyncio.wait((growing, passing), return_when=asyncio.FIRST_COMPLETED)
        if growing.done():
            growing.result()
        return growing.done()
    finally:
        growing.cancel()
        passing.cancel()
