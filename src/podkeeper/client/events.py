"""Records events about objects (core/v1 Event) without ever making its caller wait.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ and client-go's recorder.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.timestamps import format_time
from podkeeper.client.api import Api, ConnectionFailed, PatchKind
from podkeeper.client.event_correlation import Correlator, Occurrence, Plan, object_of
from podkeeper.client.identity import key_of, version_of
from podkeeper.foundation.clock import Clock, SystemClock

log = logging.getLogger(__name__)

QUEUED = 5000  # events that wait for the server; what comes when so many wait is dropped
LANES = 8  # events of one object go out in order; events of different objects need not wait for each other
TRIES, RETRY_SECONDS = 12, 10.0
LAST_WORDS_SECONDS = 2.0
MESSAGE_BYTES = 1024  # longest message that the API takes


class _Lane(Struct):
    """Events that go out one after the other; ``planned`` is what became of the first, which is being sent."""

    queue: deque[Occurrence] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    planned: Plan | None = None


class EventRecorder:
    """Events of one component (``kubelet``, ``default-scheduler``) on ``host``. ``run`` sends them until cancelled."""

    def __init__(self, api: Api, component: str, *, host: str = "", clock: Clock | None = None) -> None:
        self._events = api.of(v1.Event)
        self._component, self._host = component, host
        self._clock = clock or SystemClock()
        self._correlator = Correlator()
        self._lanes = [_Lane() for _ in range(LANES)]
        self._waiting = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._last_name = 0

    def __repr__(self) -> str:
        return f"<EventRecorder {self._component} queued={self._waiting}>"

    def event(self, involved: Any, type: str, reason: str, message: str, *, action: str = "") -> None:
        """Says that something happened to ``involved``, an object or a v1.ObjectReference; Normal or Warning."""
        reference = involved if isinstance(involved, v1.ObjectReference) else reference_to(involved)
        if self._waiting >= QUEUED:
            log.warning("event dropped, too many wait: %s %s: %s", reference.name, reason, message)
            return
        lane = self._lanes[hash(object_of(reference)) % LANES]
        lane.queue.append(Occurrence(reference, type, reason, message, self._clock.time(), action))
        lane.filled.set()
        self._waiting += 1
        self._empty.clear()

    async def flush(self) -> None:
        """Returns when everything said so far is sent or given up."""
        await self._empty.wait()

    async def run(self) -> None:
        """Sends events until cancelled; what waits then is still tried for two seconds."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(self._serve(lane))
        finally:
            await self._send_last_words()

    async def _serve(self, lane: _Lane) -> None:
        while True:
            await lane.filled.wait()
            lane.filled.clear()
            await self._send_all(lane)

    async def _send_last_words(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS), asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(self._send_all(lane))
        except TimeoutError:
            log.warning("%d events were not sent", self._waiting)

    async def _send_all(self, lane: _Lane) -> None:
        while lane.queue:
            # Stays in the queue while it is sent, so that one cancelled in between is tried once more.
            plan = lane.planned or self._correlator.plan(lane.queue[0])
            lane.planned = plan
            if plan is not None:
                await self._send(plan)
            lane.planned = None
            lane.queue.popleft()
            self._waiting -= 1
            if not self._waiting:
                self._empty.set()

    async def _send(self, plan: Plan) -> None:
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(RETRY_SECONDS)
            try:
                await self._write(plan)
            except ConnectionFailed as error:
                log.info("sending an event failed, trying again: %s", error)
            except ApiError as error:
                # The namespace is going, or the event is not liked: trying again would not help.
                log.info("event %s about %s refused: %s", plan.occurrence.reason, plan.occurrence.involved.name, error)
                return
            else:
                return

    async def _write(self, plan: Plan) -> None:
        namespace = plan.occurrence.involved.namespace or "default"
        if plan.sent.name:
            try:
                await self._events.patch(plan.sent.name, _count(plan), namespace, kind=PatchKind.STRATEGIC)
            except ApiError as error:
                if error.code != 404:  # it has expired: begin anew
                    raise
            else:
                return
        event = self._new_event(plan, namespace)
        await self._events.create(event, namespace)
        plan.sent.name = event.metadata.name

    def _new_event(self, plan: Plan, namespace: str) -> v1.Event:
        occurrence, sent = plan.occurrence, plan.sent
        return v1.Event(
            metadata=meta.ObjectMeta(
                name=f"{occurrence.involved.name}.{self._unique(occurrence)}", namespace=namespace
            ),
            involved_object=occurrence.involved,
            reason=occurrence.reason,
            message=_cut(plan.message),
            source=v1.EventSource(component=self._component, host=self._host),
            first_timestamp=format_time(sent.first),
            last_timestamp=format_time(occurrence.time),
            count=sent.count,
            type=occurrence.type,
            action=occurrence.action,
            reporting_component=self._component,
            reporting_instance=self._host,
        )

    def _unique(self, occurrence: Occurrence) -> str:
        """Nanoseconds in hexadecimal, as upstream names events; never the same twice."""
        self._last_name = max(self._last_name + 1, int(occurrence.time * 1e9))
        return f"{self._last_name:x}"


def reference_to(obj: Any) -> v1.ObjectReference:
    """A reference to an object, struct or tree."""
    key = key_of(obj)
    api_version, kind, uid = (
        (obj.get("apiVersion", ""), obj.get("kind", ""), (obj.get("metadata") or {}).get("uid", ""))
        if isinstance(obj, dict)
        else (obj.api_version, obj.kind, obj.metadata.uid)
    )
    return v1.ObjectReference(
        api_version=api_version,
        kind=kind,
        namespace=key.namespace,
        name=key.name,
        uid=uid,
        resource_version=version_of(obj),
    )


def _count(plan: Plan) -> dict[str, Any]:
    return {
        "count": plan.sent.count,
        "message": _cut(plan.message),
        "lastTimestamp": format_time(plan.occurrence.time),
    }


def _cut(message: str) -> str:
    return message.encode()[:MESSAGE_BYTES].decode(errors="ignore")
