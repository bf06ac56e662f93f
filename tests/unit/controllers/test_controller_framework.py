"""Running a controller: keys from changes, one worker a key, and when a key comes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from podkeeper.api.errors import not_found
from podkeeper.client.api import ConnectionFailed
from podkeeper.controllers.framework import Key, Watch, own_key, run_controller
from podkeeper.testing.fake_clock import FakeClock


class Changes:
    """An informer whose changes a test makes."""

    def __init__(self) -> None:
        self.handlers: list[Callable[[Any, Any], None]] = []

    def add_handler(self, handler: Callable[[Any, Any], None]) -> None:
        self.handlers.append(handler)

    async def wait_for_sync(self) -> None:
        """Is in step at once."""

    def happen(self, name: str) -> None:
        from podkeeper.api.core import v1
        from podkeeper.api.meta import v1 as meta

        for handler in self.handlers:
            handler(None, v1.Pod(metadata=meta.ObjectMeta(name=name, namespace="n")))


class Scripted:
    """A controller that does what the test says, and notes what it was asked."""

    name, workers = "scripted", 3

    def __init__(self) -> None:
        self.changes = Changes()
        self.asked: list[tuple[str, float]] = []
        self.answers: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.clock = FakeClock()

    def watches(self) -> Sequence[Watch[Any]]:
        informer: Any = self.changes
        return [Watch(informer, own_key)]

    async def reconcile(self, key: Key) -> float | None:
        self.asked.append((key.name, self.clock.monotonic()))
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    made = Scripted()
    running = asyncio.ensure_future(run_controller(made, made.clock))
    await made.clock.settle()
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_a_change_brings_its_key(scripted: Scripted) -> None:
    scripted.changes.happen("a")
    await scripted.clock.settle()
    assert scripted.asked == [("a", 0)]


async def test_one_key_is_worked_on_by_one_worker_and_once_more_for_all_changes_meanwhile(scripted: Scripted) -> None:
    scripted.gate.clear()
    for _ in range(3):
        scripted.changes.happen("a")
        scripted.changes.happen("b")
        await scripted.clock.settle()
    assert sorted(scripted.asked) == [("a", 0), ("b", 0)]
    scripted.gate.set()
    await scripted.clock.settle()
    assert sorted(scripted.asked) == [("a", 0), ("a", 0), ("b", 0), ("b", 0)]


async def test_returned_seconds_bring_the_key_back(scripted: Scripted) -> None:
    scripted.answers = [7.0]
    scripted.changes.happen("a")
    await scripted.clock.advance(6.9)
    assert len(scripted.asked) == 1
    await scripted.clock.advance(0.1)
    assert scripted.asked == [("a", 0), ("a", 7)]


@pytest.mark.parametrize("failure", [not_found("pods", "", "a"), RuntimeError("a bug")])
async def test_a_failure_is_tried_again_ever_more_seldom(scripted: Scripted, failure: Exception) -> None:
    scripted.answers = [failure] * 4
    scripted.changes.happen("a")
    await scripted.clock.advance(1)
    assert [round(time, 3) for _, time in scripted.asked] == [0, 0.005, 0.015, 0.035, 0.075]


async def test_success_makes_the_next_failure_a_first_one(scripted: Scripted) -> None:
    failure = not_found("pods", "", "a")
    scripted.answers = [failure, failure, 1.0, failure]
    scripted.changes.happen("a")
    await scripted.clock.advance(5)
    assert [round(time, 3) for _, time in scripted.asked] == [0, 0.005, 0.015, 1.015, 1.02]


async def test_a_server_that_is_away_is_missed_for_a_second_at_most_however_long_it_was(scripted: Scripted) -> None:
    scripted.answers = [ConnectionFailed("refused")] * 60
    scripted.changes.happen("a")
    await scripted.clock.advance(90)
    assert [time for _, time in scripted.asked] == list(range(61))
