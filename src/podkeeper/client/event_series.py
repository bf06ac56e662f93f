"""Records events in the newer form (events.k8s.io/v1): what happens again becomes a series of the first event.

first --again--> series (sent at once) --again and again--> counted (sent every 30 minutes) --quiet for 6--> finished

Rules and numbers are those of client-go's ``tools/events`` (its EventBroadcaster).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.events import v1 as events
from podkeeper.api.meta import v1 as meta
from podkeeper.api.timestamps import format_micro_time
from podkeeper.client.api import Api, ConnectionFailed, PatchKind
from podkeeper.client.event_correlation import object_of
from podkeeper.client.events import LAST_WORDS_SECONDS, MESSAGE_BYTES, RETRY_SECONDS, TRIES, reference_to
from podkeeper.foundation.clock import Clock, SystemClock

log = logging.getLogger(__name__)

QUEUED = 5000  # events that wait for the server; what comes when so many wait is dropped
LANES = 8  # events of one object go out in order; events of different objects need not wait for each other
FINISH_SECONDS, REFRESH_SECONDS = 360.0, 1800.0


class Series(Struct):
    """One event object: how often it has occurred and when last. ``sent`` when the server has it."""

    event: events.Event
    last: float
    count: int = 1
    sent: bool = False

    def tree(self) -> dict[str, Any]:
        """The EventSeries as JSON."""
        return {"count": self.count, "lastObservedTime": format_micro_time(self.last)}


class SeriesBook:
    """The events that are not long ago, by what makes two of them the same."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Series] = {}

    def __len__(self) -> int:
        return len(self._open)

    def note(self, event: events.Event, now: float) -> Series | None:
        """What is to be sent of this occurrence: a new event, or the one that becomes a series; later ones count."""
        key = (event.type, event.action, event.reason, event.reporting_controller, object_of(event.regarding))
        known = self._open.get(key)
        if known is None:
            known = self._open[key] = Series(event, now)
            return known
        known.count += 1
        known.last = now
        return known if known.count == 2 else None

    def running(self) -> Sequence[Series]:
        """Every series, to be sent again so that the server does not forget it."""
        return [series for series in self._open.values() if series.count > 1]

    def finish(self, now: float) -> Sequence[Series]:
        """Forgets what has been quiet; returns the series among it, whose counts are to be sent a last time."""
        quiet = {key: series for key, series in self._open.items() if now - series.last >= FINISH_SECONDS}
        for key in quiet:
            del self._open[key]
        return [series for series in quiet.values() if series.count > 1]


class SeriesRecorder:
    """Events of one component on ``host``. ``run`` sends them until cancelled; callers never wait."""

    def __init__(self, api: Api, component: str, *, host: str = "", clock: Clock | None = None) -> None:
        self._events = api.of(events.Event)
        self._component, self._host = component, host
        self._clock = clock or SystemClock()
        self._book = SeriesBook()
        self._lanes: list[asyncio.Queue[Series]] = [asyncio.Queue() for _ in range(LANES)]
        self._last_name = 0

    def __repr__(self) -> str:
        return f"<SeriesRecorder {self._component} queued={self._queued} open={len(self._book)}>"

    def event(self, involved: Any, type: str, reason: str, message: str, *, action: str = "") -> None:
        """Says that something happened to ``involved``, an object or a v1.ObjectReference; Normal or Warning."""
        now = self._clock.time()
        self._last_name = max(self._last_name + 1, int(now * 1e9))
        reference = involved if isinstance(involved, v1.ObjectReference) else reference_to(involved)
        made = events.Event(
            metadata=meta.ObjectMeta(
                name=f"{reference.name}.{self._last_name:x}", namespace=reference.namespace or "default"
            ),
            event_time=format_micro_time(now),
            reporting_controller=self._component,
            reporting_instance=f"{self._component}-{self._host}" if self._host else self._component,
            action=action or reason,
            reason=reason,
            regarding=reference,
            note=message.encode()[:MESSAGE_BYTES].decode(errors="ignore"),
            type=type,
        )
        series = self._book.note(made, now)
        if series is not None:
            self._put(series)

    @property
    def _queued(self) -> int:
        return sum(lane.qsize() for lane in self._lanes)

    async def flush(self) -> None:
        """Returns when everything said so far is sent or given up."""
        for lane in self._lanes:
            await lane.join()

    async def run(self) -> None:
        """Sends until cancelled; what waits then is still tried for two seconds."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_book())
                for lane in self._lanes:
                    tasks.create_task(self._serve(lane))
        finally:
            await self._send_last_words()

    async def _serve(self, lane: asyncio.Queue[Series]) -> None:
        while True:
            series = await lane.get()
            try:
                await self._send(series)
            finally:
                lane.task_done()

    async def _send_last_words(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                for lane in self._lanes:
                    while not lane.empty():
                        await self._send(lane.get_nowait())
        except TimeoutError:
            log.warning("%d events were not sent", self._queued)

    async def _keep_book(self) -> None:
        refreshed = self._clock.time()
        while True:
            await self._clock.sleep(FINISH_SECONDS)
            now = self._clock.time()
            due = [*self._book.finish(now)]
            if now - refreshed >= REFRESH_SECONDS:
                refreshed = now
                due += self._book.running()
            for series in due:
                self._put(series)

    def _put(self, series: Series) -> None:
        if self._queued >= QUEUED:
            log.warning("event dropped, too many wait: %s", series.event.reason)
            return
        self._lanes[hash(object_of(series.event.regarding)) % LANES].put_nowait(series)

    async def _send(self, series: Series) -> None:
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(RETRY_SECONDS)
            try:
                await self._write(series)
            except ConnectionFailed as error:
                log.info("sending an event failed, trying again: %s", error)
            except ApiError as error:
                log.info("event %s about %s refused: %s", series.event.reason, series.event.regarding.name, error)
                return
            else:
                return

    async def _write(self, series: Series) -> None:
        name, namespace = series.event.metadata.name, series.event.metadata.namespace
        if series.sent and series.count > 1:
            try:
                await self._events.patch(name, {"series": series.tree()}, namespace, kind=PatchKind.STRATEGIC)
            except ApiError as error:
                if error.code != 404:  # it has expired: begin anew
                    raise
            else:
                return
        told = series.event
        if series.count > 1:
            said = events.EventSeries(count=series.count, last_observed_time=format_micro_time(series.last))
            told = msgspec.structs.replace(told, series=said)
        await self._events.create(told, namespace)
        series.sent = True
