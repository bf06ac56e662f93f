"""The work queue against client-go's rules, with a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from podkeeper.client.workqueue import QueueShutDown, WorkQueue
from podkeeper.foundation.backoff import BackOff
from podkeeper.testing.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def queue(clock: FakeClock) -> AsyncIterator[WorkQueue[str]]:
    made: WorkQueue[str] = WorkQueue(clock=clock, backoff=BackOff(1.0, 60.0))
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def taken(queue: WorkQueue[str]) -> list[str]:
    """Every key that is ready, worked on and done."""
    keys = []
    while len(queue):
        key = await queue.get()
        queue.done(key)
        keys.append(key)
    return keys


async def test_keys_come_in_order_and_once(queue: WorkQueue[str]) -> None:
    for key in ["a", "b", "a", "c", "b"]:
        queue.add(key)
    assert await taken(queue) == ["a", "b", "c"]


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards(queue: WorkQueue[str]) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await taken(queue) == ["a"]


async def test_one_key_has_one_worker(queue: WorkQueue[str]) -> None:
    running: set[str] = set()
    worked = 0

    async def work() -> None:
        nonlocal worked
        while True:
            key = await queue.get()
            assert key not in running
            running.add(key)
            await asyncio.sleep(0)
            running.discard(key)
            worked += 1
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for turn in range(100):
        queue.add(f"key-{turn % 3}")
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert worked >= 3
    assert len(queue) == 0


async def test_a_delayed_key_comes_when_it_is_due(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("late", 10)
    queue.add_after("soon", 5)
    queue.add_after("now", 0)
    assert await taken(queue) == ["now"]
    await clock.advance(4.9)
    assert await taken(queue) == []
    await clock.advance(0.1)
    assert await taken(queue) == ["soon"]
    await clock.advance(5)
    assert await taken(queue) == ["late"]


async def test_the_earlier_of_two_delays_counts(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 3)
    queue.add_after("b", 3)
    queue.add_after("b", 10)
    await clock.advance(3)
    assert await taken(queue) == ["a", "b"]
    await clock.advance(20)
    assert await taken(queue) == []


async def test_a_delay_added_while_another_is_slept_on_is_not_late(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("late", 100)
    await clock.advance(1)
    queue.add_after("soon", 1)
    await clock.advance(1)
    assert await taken(queue) == ["soon"]


async def test_back_off_grows_until_the_key_is_forgotten(queue: WorkQueue[str], clock: FakeClock) -> None:
    waited = []
    for _ in range(4):
        queue.add_rate_limited("a")
        before = clock.monotonic()
        while not len(queue):
            await clock.advance(0.5)
        waited.append(clock.monotonic() - before)
        await taken(queue)
    assert waited == [1, 2, 4, 8]
    assert queue.failures("a") == 4
    queue.forget("a")
    queue.add_rate_limited("a")
    await clock.advance(1)
    assert await taken(queue) == ["a"]


async def test_a_waiting_worker_is_woken(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await waiting == "a"


async def test_a_worker_cancelled_as_it_is_woken_passes_the_key_on(queue: WorkQueue[str]) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(5):
        assert await second == "a"
    assert first.cancelled()


async def test_shutting_down_hands_out_what_is_queued(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(WorkQueue.get(queue))
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    queue.shut_down()
    queue.add("c")
    queue.add_after("d", 1)
    assert await waiting == "a"
    assert await queue.get() == "b"
    with pytest.raises(QueueShutDown):
        await queue.get()


async def test_shutting_down_wakes_idle_workers(queue: WorkQueue[str]) -> None:
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.shut_down()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, QueueShutDown) for outcome in outcomes)


class QueueHistory(RuleBasedStateMachine):
    """Any interleaving of adds, gets and dones: no key is lost, doubled, or with two workers."""

    keys = st.integers(0, 4)

    def __init__(self) -> None:
        super().__init__()
        self.queue: WorkQueue[int] = WorkQueue(clock=FakeClock())
        self.waiting: list[int] = []  # in order
        self.working: set[int] = set()
        self.again: list[int] = []

    @rule(key=keys)
    def add(self, key: int) -> None:
        self.queue.add(key)
        if key in self.working:
            if key not in self.again:
                self.again.append(key)
        elif key not in self.waiting:
            self.waiting.append(key)

    @precondition(lambda self: self.waiting)
    @rule()
    def get(self) -> None:
        coroutine = self.queue.get()
        with pytest.raises(StopIteration) as outcome:
            coroutine.send(None)
        key = outcome.value.value
        assert key == self.waiting.pop(0)
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.queue.done(key)
        self.working.discard(key)
        if key in self.again:
            self.again.remove(key)
            self.waiting.append(key)

    @invariant()
    def lengths_agree(self) -> None:
        assert len(self.queue) == len(self.waiting)


TestQueueHistory = QueueHistory.TestCase
TestQueueHistory.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
