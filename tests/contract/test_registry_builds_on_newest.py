"""``Store.newest``: what the registry builds changes on before the writes below are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import Store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    engine: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield engine
    await engine.close()


async def test_it_is_what_the_next_write_is_judged_against(store: Store) -> None:
    assert store.newest("/a") is None
    created = asyncio.ensure_future(store.create("/a", b"1"))
    await asyncio.sleep(0)
    first = store.newest("/a")
    assert first is not None
    updated = asyncio.ensure_future(store.update("/a", b"2", first.revision))
    await asyncio.sleep(0)
    second = store.newest("/a")
    assert second is not None
    assert (first.value, second.value) == (b"1", b"2")
    assert [await created, await updated] == [first.revision, second.revision]
    assert store.revision == second.revision
    deleted = asyncio.ensure_future(store.delete("/a", second.revision))
    await asyncio.sleep(0)
    assert store.newest("/a") is None
    await deleted


async def test_writes_that_build_on_each_other_are_acknowledged_in_order(store: Store) -> None:
    await store.create("/a", b"0")
    order: list[int] = []

    async def add_one(index: int) -> None:
        base = store.newest("/a")
        assert base is not None
        await store.update("/a", str(int(base.value) + 1).encode(), base.revision)
        order.append(index)

    await asyncio.gather(*(add_one(index) for index in range(20)))
    assert order == list(range(20))
    record = await store.get("/a")
    assert record is not None
    assert record.value == b"20"
