"""Events of the newer API: series, refreshes, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.errors import not_found
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.event_series import FINISH_SECONDS, REFRESH_SECONDS, SeriesRecorder
from podkeeper.testing.fake_clock import FakeClock

WEB = v1.ObjectReference(api_version="v1", kind="Pod", namespace="default", name="web", uid="u1")


class Events:
    """The API's events: what is created and patched; ``failures`` are raised first."""

    def __init__(self) -> None:
        self.created: list[Any] = []
        self.patched: list[tuple[str, Any]] = []
        self.failures: list[Exception] = []

    def of(self, kind: type[Any]) -> Events:
        return self

    async def create(self, event: Any, namespace: str) -> Any:
        self._fail()
        self.created.append(event)

    async def patch(self, name: str, patch: Any, namespace: str, **_: Any) -> Any:
        self._fail()
        self.patched.append((name, patch))

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[SeriesRecorder, Events, FakeClock]]:
    api, clock = Events(), FakeClock()
    recorder = SeriesRecorder(api, "default-scheduler", host="n1", clock=clock)  # type: ignore[arg-type]
    running = asyncio.create_task(recorder.run())
    await clock.settle()
    try:
        yield recorder, api, clock
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_the_first_is_an_event_the_second_makes_it_a_series_the_rest_counts() -> None:
    async with recording() as (recorder, api, clock):
        for note in ("first", "second", "third", "fourth"):
            recorder.event(WEB, "Warning", "FailedScheduling", note, action="Scheduling")
            await recorder.flush()
            await clock.advance(1)
        (event,) = api.created
        assert (event.note, event.action, event.series) == ("first", "Scheduling", None)
        assert (event.reporting_controller, event.reporting_instance) == ("default-scheduler", "default-scheduler-n1")
        assert event.event_time.endswith("Z")
        ((name, patch),) = api.patched
        assert (name, patch["series"]["count"]) == (event.metadata.name, 2)


async def test_other_things_are_other_events() -> None:
    async with recording() as (recorder, api, _):
        recorder.event(WEB, "Normal", "Scheduled", "x", action="Binding")
        recorder.event(WEB, "Warning", "Scheduled", "x", action="Binding")
        recorder.event(WEB, "Normal", "Scheduled", "x", action="Other")
        await recorder.flush()
        assert len({event.metadata.name for event in api.created}) == 3
        assert api.patched == []


async def test_a_series_that_ends_tells_its_count_and_begins_anew() -> None:
    async with recording() as (recorder, api, clock):
        for _ in range(5):
            recorder.event(WEB, "Warning", "Failed", "x")
        await recorder.flush()
        await clock.advance(2 * FINISH_SECONDS)
        await recorder.flush()
        assert api.created[0].series.count == 5  # it was a series before it could be sent
        assert api.patched[-1][1]["series"]["count"] == 5
        recorder.event(WEB, "Warning", "Failed", "again")
        await recorder.flush()
        assert [event.note for event in api.created] == ["x", "again"]


async def test_a_series_that_goes_on_is_told_again() -> None:
    async with recording() as (recorder, api, clock):
        for _ in range(int(REFRESH_SECONDS / 300) + 2):
            recorder.event(WEB, "Warning", "Failed", "x")
            await recorder.flush()
            await clock.advance(300)
        counts = [patch["series"]["count"] for _, patch in api.patched]
        assert counts[0] == 2
        assert len(counts) == 2
        assert counts[1] >= 6


async def test_what_expired_is_made_anew_and_what_failed_is_tried_again() -> None:
    async with recording() as (recorder, api, clock):
        api.failures = [ConnectionFailed("gone")]
        recorder.event(WEB, "Normal", "A", "x")
        await clock.advance(10)
        await recorder.flush()
        assert len(api.created) == 1
        api.failures = [not_found("events", "events.k8s.io", "web.1")]
        recorder.event(WEB, "Normal", "A", "x")
        await recorder.flush()
        assert api.created[1].series.count == 2
