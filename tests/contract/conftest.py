"""A registry over every store engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from registry_house import AdmitsAll, House

from podkeeper.registry.assembly import RegistryConfig, open_registry
from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import Store
from podkeeper.testing.fake_clock import FakeClock


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    engine: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield engine
    await engine.close()


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
    clock, admission = FakeClock(), AdmitsAll()
    registry = await open_registry(store, admission, clock, RegistryConfig("10.96.0.0/24", (30000, 30100)))
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(registry.run(started))
        await started.wait()
        house = House(registry, store, clock, admission)
        await house.create("namespaces", {"metadata": {"name": "default"}}, "")
        yield house
        running.cancel()
