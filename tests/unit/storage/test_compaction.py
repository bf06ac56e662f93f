"""When history is forgotten, told by a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from podkeeper.storage.compaction import compact_periodically
from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.store import StoreError
from podkeeper.testing.fake_clock import FakeClock


class FailingOnce(MemoryStore):
    failed = False

    async def compact(self, revision: int) -> None:
        if not self.failed:
            self.failed = True
            raise StoreError("disk is full")
        await super().compact(revision)


@asynccontextmanager
async def compacting(store: MemoryStore, clock: FakeClock, revisions: int = 1000) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(compact_periodically(store, clock, revisions=revisions))
    await clock.settle()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def write(store: MemoryStore, count: int) -> None:
    for _ in range(count):
        await store.create(f"/k/{store.revision}", b"")


async def test_each_interval_forgets_what_is_older_than_the_last() -> None:
    store, clock = MemoryStore(), FakeClock()
    async with compacting(store, clock):
        await write(store, 10)
        await clock.advance(300)
        assert store.oldest == 1
        await write(store, 10)
        await clock.advance(300)
        assert store.oldest == 10
        await clock.advance(300)
        assert store.oldest == 20
        await clock.advance(3000)
        assert (store.oldest, store.revision) == (20, 20)


async def test_a_burst_is_compacted_at_once_and_keeps_half() -> None:
    store, clock = MemoryStore(), FakeClock()
    async with compacting(store, clock, revisions=100):
        await write(store, 99)
        await clock.settle()
        assert store.oldest == 1
        await write(store, 1)
        await clock.settle()
        assert store.oldest == 50
        await write(store, 100)
        await clock.settle()
        assert store.oldest == 150
        await clock.advance(300)
        assert store.oldest == 200


async def test_large_values_are_compacted_before_they_are_many() -> None:
    store, clock = MemoryStore(), FakeClock()
    task = asyncio.create_task(compact_periodically(store, clock, history=10_000))
    await clock.settle()
    revision = await store.create("/k", b"")
    for oldest in (1, 6, 11, 16):
        for _ in range(5):
            revision = await store.update("/k", bytes(1000), revision)
        await clock.settle()
        assert store.oldest == oldest
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failure_is_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = FailingOnce(), FakeClock()
    async with compacting(store, clock):
        await write(store, 10)
        await clock.advance(600)
        assert store.oldest == 1
        assert "disk is full" in caplog.text
        await clock.advance(300)
        assert store.oldest == 10


async def test_it_ends_with_the_store() -> None:
    store, clock = MemoryStore(), FakeClock()
    async with compacting(store, clock) as task:
        await store.close()
        await clock.settle()
        assert task.done()
        assert task.exception() is None
