from __future__ import annotations

import asyncio

import pytest

from podkeeper.testing.fake_clock import FakeClock


async def sleeper(clock: FakeClock, seconds: float, woken: list[tuple[float, float]]) -> None:
    await clock.sleep(seconds)
    woken.append((seconds, clock.monotonic()))


async def test_sleepers_wake_in_order_of_their_time_and_see_it() -> None:
    clock, woken = FakeClock(start=100.0), list[tuple[float, float]]()
    async with asyncio.TaskGroup() as group:
        for seconds in (3.0, 1.0, 2.0, 5.0):
            group.create_task(sleeper(clock, seconds, woken))
        await clock.advance(4.0)
        assert woken == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
        assert (clock.monotonic(), clock.time(), clock.sleepers) == (4.0, 104.0, 1)
        await clock.advance(1.0)
        assert woken[-1] == (5.0, 5.0)


async def test_a_task_that_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock, ticks = FakeClock(), list[float]()

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(10)
            ticks.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        await clock.advance(25)
        assert ticks == [10.0, 20.0]
        await clock.advance(5)
    assert ticks == [10.0, 20.0, 30.0]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    await clock.advance(2)


async def test_waiting_for_sleepers_to_arrive() -> None:
    clock = FakeClock()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(clock.wait_for_sleepers(2))
        group.create_task(clock.sleep(1))
        await clock.settle()
        assert not waiting.done()
        group.create_task(clock.sleep(1))
        await waiting
        await clock.advance(1)


async def test_no_time_to_sleep_is_one_turn() -> None:
    clock = FakeClock()
    async with asyncio.timeout(5):
        await clock.sleep(0)
    assert clock.monotonic() == 0
