"""Events: what becomes one object with a count, what is dropped, and how they reach the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from podkeeper.api.core import v1
from podkeeper.api.errors import forbidden, not_found
from podkeeper.api.meta import v1 as meta
from podkeeper.client.api import ConnectionFailed, PatchKind
from podkeeper.client.event_correlation import BURST, COMBINED, Correlator, Occurrence
from podkeeper.client.events import EventRecorder, reference_to
from podkeeper.testing.fake_clock import FakeClock

START = 1_700_000_000.0
WEB = v1.ObjectReference(api_version="v1", kind="Pod", namespace="default", name="web", uid="u1")


def occurrence(message: str = "Pulled", after: float = 0.0, **fields: Any) -> Occurrence:
    given = {"involved": WEB, "type": "Normal", "reason": "Pulled", **fields}
    return Occurrence(message=message, time=START + after, **given)


class TestCorrelation:
    def test_the_same_event_again_counts_up(self) -> None:
        correlator = Correlator()
        plans = [correlator.plan(occurrence(after=after)) for after in (0, 5, 10)]
        assert all(plan is not None for plan in plans)
        assert len({id(plan.sent) for plan in plans if plan}) == 1
        assert plans[2] is not None
        assert (plans[2].sent.count, plans[2].sent.first) == (3, START)

    @pytest.mark.parametrize(
        "other",
        [
            {"message": "Started"},
            {"reason": "Killing"},
            {"type": "Warning"},
            {"involved": msgspec.structs.replace(WEB, uid="u2")},
            {"involved": msgspec.structs.replace(WEB, field_path="spec.containers{app}")},
        ],
    )
    def test_anything_else_is_another_event(self, other: dict[str, Any]) -> None:
        correlator = Correlator()
        first, second = correlator.plan(occurrence()), correlator.plan(occurrence(**other))
        assert first is not None
        assert second is not None
        assert second.sent is not first.sent
        assert second.sent.count == 1

    def test_another_version_of_the_object_is_the_same_event(self) -> None:
        correlator = Correlator()
        correlator.plan(occurrence())
        again = correlator.plan(occurrence(involved=msgspec.structs.replace(WEB, resource_version="99")))
        assert again is not None
        assert again.sent.count == 2

    def test_many_similar_texts_become_one(self) -> None:
        correlator = Correlator()
        plans = [correlator.plan(occurrence(f"attempt {number}")) for number in range(14)]
        messages = [plan.message for plan in plans if plan]
        assert messages[:9] == [f"attempt {number}" for number in range(9)]
        assert messages[9:] == [f"{COMBINED}attempt {number}" for number in range(9, 14)]
        assert plans[13] is not None
        assert plans[13].sent.count == 5

    def test_similar_texts_far_apart_stay_apart(self) -> None:
        correlator = Correlator()
        plans = [correlator.plan(occurrence(f"attempt {number}", after=number * 700)) for number in range(14)]
        assert all(plan is not None and not plan.message.startswith(COMBINED) for plan in plans)

    def test_an_object_that_spams_is_cut_off_and_recovers_slowly(self) -> None:
        correlator = Correlator()
        plans = [correlator.plan(occurrence()) for _ in range(BURST + 5)]
        assert [plan is not None for plan in plans] == [True] * BURST + [False] * 5
        assert correlator.plan(occurrence(involved=msgspec.structs.replace(WEB, name="other"))) is not None
        assert correlator.plan(occurrence(after=299)) is None
        later = correlator.plan(occurrence(after=301))
        assert later is not None
        assert later.sent.count == BURST + 7


class Events:
    """The API's events: keeps what is created, counts what is patched; ``failures`` are raised first."""

    def __init__(self) -> None:
        self.objects: dict[str, v1.Event] = {}
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[Exception] = []
        self.calls = 0
        self.gate: asyncio.Event | None = None

    def of(self, kind: type[v1.Event]) -> Events:
        assert kind is v1.Event
        return self

    async def _begin(self) -> None:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)

    async def create(self, event: v1.Event, namespace: str = "") -> v1.Event:
        await self._begin()
        assert event.metadata.name not in self.objects
        assert namespace == event.metadata.namespace
        self.objects[event.metadata.name] = event
        return event

    async def patch(self, name: str, patch: dict[str, Any], namespace: str, *, kind: PatchKind) -> v1.Event:
        await self._begin()
        assert kind is PatchKind.STRATEGIC
        if name not in self.objects:
            raise not_found("events", "", name)
        self.patches.append((name, patch))
        return self.objects[name]


@asynccontextmanager
async def recording(events: Events, clock: FakeClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(events, "kubelet", host="node-1", clock=clock)  # type: ignore[arg-type]
    task = asyncio.create_task(recorder.run())
    await clock.settle()
    try:
        async with asyncio.timeout(10):
            yield recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


async def test_an_event_as_the_server_gets_it() -> None:
    events, clock = Events(), FakeClock(START)
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Pulled", "Image is here", action="Pulling")
        await recorder.flush()
    (event,) = events.objects.values()
    assert event.metadata.namespace == "default"
    assert event.metadata.name == f"web.{int(START * 1e9):x}"
    assert event.involved_object == WEB
    assert (event.type, event.reason, event.message, event.action) == ("Normal", "Pulled", "Image is here", "Pulling")
    assert event.source == v1.EventSource(component="kubelet", host="node-1")
    assert (event.reporting_component, event.reporting_instance) == ("kubelet", "node-1")
    assert (event.count, event.first_timestamp, event.last_timestamp) == (
        1,
        "2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20Z",
    )


async def test_a_repeated_event_is_patched() -> None:
    events, clock = Events(), FakeClock(START)
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Pulled", "Image is here")
        await clock.advance(60)
        recorder.event(WEB, "Normal", "Pulled", "Image is here")
        await recorder.flush()
    (name,) = events.objects
    assert events.patches == [(name, {"count": 2, "message": "Image is here", "lastTimestamp": "2023-11-14T22:14:20Z"})]


async def test_an_event_that_expired_is_created_anew_with_its_count() -> None:
    events, clock = Events(), FakeClock(START)
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Pulled", "x")
        await recorder.flush()
        events.objects.clear()
        recorder.event(WEB, "Normal", "Pulled", "x")
        await recorder.flush()
    (event,) = events.objects.values()
    assert (event.count, event.first_timestamp) == (2, "2023-11-14T22:13:20Z")


async def test_events_at_one_moment_have_different_names() -> None:
    events = Events()
    async with recording(events, FakeClock(START)) as recorder:
        for number in range(5):
            recorder.event(WEB, "Normal", "Pulled", f"text {number}")
        await recorder.flush()
    assert [event.message for event in events.objects.values()] == [f"text {number}" for number in range(5)]


async def test_a_server_that_is_away_gets_it_later_and_a_refusal_is_final() -> None:
    events, clock = Events(), FakeClock(START)
    events.failures = [ConnectionFailed("away"), ConnectionFailed("away")]
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Pulled", "x")
        await clock.advance(19)
        assert not events.objects
        await clock.advance(2)
        await recorder.flush()
        assert len(events.objects) == 1
        events.failures = [forbidden("events", "", "", "namespace is terminating")]
        recorder.event(WEB, "Normal", "Killing", "x")
        await recorder.flush()
        assert len(events.objects) == 1


async def test_nobody_waits_and_other_objects_are_not_held_up() -> None:
    events, clock = Events(), FakeClock(START)
    events.failures = [ConnectionFailed("away")]
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Pulled", "x")
        await clock.settle()
        for number in range(20):
            other = msgspec.structs.replace(WEB, name=f"pod-{number}")
            recorder.event(other, "Normal", "Pulled", "x")
        await clock.settle()
        assert len(events.objects) >= 10
        await clock.advance(10)
        await recorder.flush()
        assert len(events.objects) == 21


async def test_what_waits_at_the_end_is_still_sent() -> None:
    events, clock = Events(), FakeClock(START)
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Killing", "Stopping container app")
    assert len(events.objects) == 1


async def test_one_being_sent_at_the_end_is_sent_again() -> None:
    events, clock = Events(), FakeClock(START)
    events.gate = asyncio.Event()
    async with recording(events, clock) as recorder:
        recorder.event(WEB, "Normal", "Killing", "Stopping container app")
        await clock.settle()
        assert events.calls == 1
        events.gate = None
    assert [event.count for event in events.objects.values()] == [1]


async def test_long_messages_are_cut_to_what_the_api_takes() -> None:
    events = Events()
    async with recording(events, FakeClock(START)) as recorder:
        recorder.event(WEB, "Warning", "Failed", "é" * 2000)
        await recorder.flush()
    (event,) = events.objects.values()
    assert event.message == "é" * 512


async def test_cluster_scoped_objects_have_their_events_in_default() -> None:
    events = Events()
    node = v1.Node(metadata=meta.ObjectMeta(name="node-1", uid="u"))
    async with recording(events, FakeClock(START)) as recorder:
        recorder.event(node, "Normal", "Starting", "Starting kubelet.")
        await recorder.flush()
    (event,) = events.objects.values()
    assert event.metadata.namespace == "default"
    assert event.involved_object == v1.ObjectReference(api_version="v1", kind="Node", name="node-1", uid="u")


def test_references_to_structs_and_trees() -> None:
    pod = v1.Pod(metadata=meta.ObjectMeta(name="a", namespace="n", uid="u", resource_version="3"))
    tree = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "3"},
    }
    assert reference_to(pod) == reference_to(tree)
