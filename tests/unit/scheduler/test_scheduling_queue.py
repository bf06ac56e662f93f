"""The queue: order, back-off, and waking what an event concerns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.scheduler.pod_facts import PodFacts, pod_facts
from podkeeper.scheduler.queue import LONGEST_WAIT, SchedulingQueue
from podkeeper.testing.fake_clock import FakeClock


def facts(name: str, priority: int = 0) -> PodFacts:
    spec = v1.PodSpec(containers=(), priority=priority)
    return pod_facts(v1.Pod(metadata=meta.ObjectMeta(name=name, namespace="default", uid=name), spec=spec))


def name(found: PodFacts | None) -> str | None:
    return found.pod.metadata.name if found else None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def queue(clock: FakeClock) -> AsyncIterator[SchedulingQueue]:
    made = SchedulingQueue(clock)
    runner = asyncio.create_task(made.run())
    yield made
    runner.cancel()
    await asyncio.wait([runner])


async def test_priority_comes_before_age(queue: SchedulingQueue) -> None:
    for each in (facts("old"), facts("new"), facts("urgent", 10)):
        queue.add(each)
    assert [name(queue.pop_nowait()) for _ in range(4)] == ["urgent", "old", "new", None]


async def test_pop_waits_for_a_pod(queue: SchedulingQueue, clock: FakeClock) -> None:
    waiting = asyncio.create_task(queue.pop())
    await clock.settle()
    assert not waiting.done()
    queue.add(facts("a"))
    assert name(await waiting) == "a"


async def test_a_pod_that_did_not_fit_waits_for_an_event_that_concerns_it(
    queue: SchedulingQueue, clock: FakeClock
) -> None:
    queue.fail(facts("a"), {"NodeAffinity"})
    queue.wake({"NodePorts"})
    await clock.advance(60)
    assert queue.pop_nowait() is None
    queue.wake({"NodeAffinity"})
    assert name(queue.pop_nowait()) == "a"


async def test_it_is_not_tried_before_its_back_off_is_over(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.fail(facts("a"), {"NodeAffinity"})
    queue.wake({"NodeAffinity"})
    await clock.advance(0.9)
    assert queue.pop_nowait() is None
    await clock.advance(0.2)
    again = queue.pop_nowait()
    assert name(again) == "a"
    queue.fail(facts("a"), {"NodeAffinity"})
    queue.wake({"NodeAffinity"})
    await clock.advance(1.5)
    assert queue.pop_nowait() is None
    await clock.advance(0.6)
    assert name(queue.pop_nowait()) == "a"


async def test_nobody_waits_for_ever(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.fail(facts("a"), {"NodeAffinity"})
    await clock.advance(LONGEST_WAIT + 1)
    assert name(queue.pop_nowait()) == "a"


async def test_a_failure_that_is_nobodys_fault_is_tried_again_after_its_back_off(
    queue: SchedulingQueue, clock: FakeClock
) -> None:
    queue.retry_later(facts("a"))
    await clock.advance(1.1)
    assert name(queue.pop_nowait()) == "a"


async def test_a_removed_pod_never_comes_out(queue: SchedulingQueue, clock: FakeClock) -> None:
    queue.add(facts("a"))
    queue.fail(facts("b"), {"NodePorts"})
    queue.remove("a")
    queue.remove("b")
    queue.wake({"NodePorts"})
    await clock.advance(LONGEST_WAIT * 2)
    assert queue.pop_nowait() is None


async def test_a_changed_pod_is_tried_at_once(queue: SchedulingQueue) -> None:
    queue.fail(facts("a"), {"NodeAffinity"})
    queue.add(facts("a"))
    assert name(queue.pop_nowait()) == "a"
