"""Events live an hour after their last change."""

from __future__ import annotations

import asyncio
from typing import Any

from podkeeper.registry.assembly import RegistryConfig, open_registry
from podkeeper.registry.verbs import ListOptions
from podkeeper.testing.fake_clock import FakeClock

HOUR = 3600


async def names(shop: Any) -> list[str]:
    listing = await shop.of("events").list("default", ListOptions())
    return [item.name for item in listing.items]


def event(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "namespace": "default"}, **more}


async def test_they_go_after_an_hour(shop: Any) -> None:
    await shop.create("events", event("old"))
    await shop.clock.advance(HOUR - 120)
    assert await names(shop) == ["old"]
    await shop.create("events", event("young"))
    await shop.clock.advance(240)
    assert await names(shop) == ["young"]
    await shop.create("configmaps", {"metadata": {"name": "c"}})
    await shop.clock.advance(HOUR)
    assert await names(shop) == []
    assert (await shop.get("configmaps", "c"))["kind"] == "ConfigMap"


async def test_a_change_gives_another_hour(shop: Any) -> None:
    await shop.create("events", event("e"))
    await shop.clock.advance(HOUR / 2)
    await shop.patch("events", "e", {"count": 2})
    await shop.clock.advance(HOUR * 0.75)
    assert await names(shop) == ["e"]
    await shop.clock.advance(HOUR / 2)
    assert await names(shop) == []


async def test_those_found_at_the_start_go_by_their_own_account(shop: Any) -> None:
    """The fake clock begins at 2023-11-14T22:13:20Z."""
    for name, last in (("old", "2023-11-14T21:15:00Z"), ("new", "2023-11-14T21:40:00Z")):
        value = (
            f'{{"apiVersion":"v1","kind":"Event","metadata":{{"name":"{name}","namespace":"default",'
            f'"creationTimestamp":"2023-11-14T20:00:00Z"}},"lastTimestamp":"{last}"}}'
        )
        await shop.store.create(f"/events/default/{name}", value.encode())
    store, clock = shop.store, FakeClock()
    again = await open_registry(store, shop.registry._backing.admission, clock, RegistryConfig())
    started = asyncio.Event()
    running = asyncio.ensure_future(again.run(started))
    await started.wait()
    await clock.advance(60)
    assert await names(shop) == ["new", "old"]
    await clock.advance(120)
    assert await names(shop) == ["new"]
    await clock.advance(HOUR / 2)
    assert await names(shop) == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
