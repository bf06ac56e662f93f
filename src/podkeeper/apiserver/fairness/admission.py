"""Admits requests: classifies them, seats them or lets them wait their turn, and sends away what is too much.

arrived --a seat is free--> running --give_back, at the loop's next turn--> ended
   \\--queue--> waiting --its turn--> running
   |              \\--too long--> sent away (429)
   \\--queue full, or none--> sent away (429)

Seats come back a turn of the event loop later than requests end. What only computes would otherwise never hold two
at once, and whoever has most connections would have most of the processor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.fairness import suggested, work
from podkeeper.apiserver.fairness.levels import Level, Seats, Tally
from podkeeper.apiserver.fairness.matching import Schema, compile_schemas
from podkeeper.apiserver.fairness.queues import Waiting
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.clock import Clock

#: Longest time in a queue in seconds, whatever a request's own limit is.
MOST_PATIENCE = 60.0
_CAPACITY = 16384

Trees = Mapping[str, Mapping[str, Any]]


class SentAway(Exception):
    """Too many requests: the client is to come again after ``retry_after`` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again in {retry_after} s")
        self.retry_after = retry_after


class Flow(Struct, frozen=True):
    """Requests that are treated as one source. ``head`` is the header lines that tell of schema and level by uid."""

    schema: str
    distinguisher: str
    level: Level
    tally: Tally
    hash: int
    head: bytes


class Described(Struct, frozen=True):
    """A waiting request, for those who look at the queues."""

    flow: Flow
    user: UserInfo
    info: RequestInfo
    arrived: float


class FairAdmission:
    """The gate of one server with ``total`` seats. ``patience`` in seconds is how long a request may wait."""

    def __init__(self, total: int, patience: float, count: work.Count, clock: Clock) -> None:
        self.seats = Seats(total)
        self._patience, self._count, self._clock = min(patience, MOST_PATIENCE), count, clock
        self._schemas: Sequence[tuple[Schema, Level]] = ()
        self._flows: dict[tuple[Any, ...], Flow] = {}
        self._returned: list[tuple[Level, int]] = []
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self.configure({}, {})

    def __repr__(self) -> str:
        return f"<FairAdmission {list(self.seats.levels.values())}, {self._waiting} waiting>"

    def configure(self, schemas: Trees, levels: Trees) -> None:
        """Takes over these objects by name; where the mandatory ones are missing, they count as upstream made them."""
        self.seats.configure(_with_mandatory(levels, suggested.priority_levels()).values())
        found = self.seats.levels
        compiled = compile_schemas(_with_mandatory(schemas, suggested.flow_schemas()).values())
        self._schemas = [(schema, found[schema.level]) for schema in compiled if schema.level in found]
        self._flows.clear()
        self.seats.dispatch()

    def flow(self, user: UserInfo, info: RequestInfo) -> Flow:
        """The flow that a request belongs to; remembered until the configuration changes."""
        where = (info.group, info.resource, info.subresource, info.namespace) if info.is_resource else info.path
        key = (user.name, tuple(user.groups), info.verb, where)
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= _CAPACITY:
                self._flows.clear()
            flow = self._flows[key] = self._classify(user, info)
        return flow

    def width(self, flow: Flow, info: RequestInfo) -> int:
        """The seats that a request takes."""
        return 0 if flow.level.exempt else work.seats(info, flow.level.most_seats, self._count)

    def take(self, flow: Flow, width: int) -> bool:
        """Seats a request without waiting, if it may run now."""
        if not self.seats.take(flow.level, width):
            return False
        flow.tally.started += 1
        flow.tally.seats += width
        return True

    async def wait(self, flow: Flow, width: int, user: UserInfo, info: RequestInfo) -> None:
        """Waits for a seat, which is the caller's then. Raises SentAway."""
        turn: asyncio.Future[None] = self._loop.create_future()
        waiting = Waiting(width, _waker(turn), Described(flow, user, info, self._clock.time()))
        queues, tally, since = flow.level.queues, flow.tally, self._clock.monotonic()
        if queues is None:
            raise self._send_away(flow, "concurrency-limit")
        if not queues.join(flow.hash, waiting):
            raise self._send_away(flow, "queue-full")
        self._waiting += 1
        tally.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if waiting.done:  # its turn came at the same moment
                self._return(flow.level, width)
            else:
                queues.leave(waiting)
            tally.vain.observe(self._clock.monotonic() - since)
            if isinstance(error, TimeoutError):
                raise self._send_away(flow, "time-out") from None
            raise
        finally:
            self._waiting -= 1
            tally.waiting -= 1
        tally.waits.observe(self._clock.monotonic() - since)
        tally.started += 1
        tally.seats += width

    def give_back(self, flow: Flow, width: int) -> None:
        """The request has ended."""
        flow.tally.ended += 1
        if width:
            flow.tally.seats -= width
            self._return(flow.level, width)

    def _return(self, level: Level, width: int) -> None:
        if not self._returned:
            self._loop.call_soon(self._take_back)
        self._returned.append((level, width))

    def _take_back(self) -> None:
        for level, width in self._returned:
            self.seats.give_back(level, width)
        self._returned.clear()
        if self._waiting:
            self.seats.dispatch()

    def _classify(self, user: UserInfo, info: RequestInfo) -> Flow:
        for schema, level in self._schemas:
            if schema.matches(user, info):
                return _flow(schema, level, schema.distinguisher(user, info))
        last, level = next(pair for pair in self._schemas if pair[0].name == "catch-all")
        return _flow(last, level, user.name)  # somebody who is in no group at all

    def _send_away(self, flow: Flow, reason: str) -> SentAway:
        flow.tally.rejected[reason] += 1
        return SentAway(flow.level.dropped.note(self._clock.time()))


def _flow(schema: Schema, level: Level, distinguisher: str) -> Flow:
    lines = f"X-Kubernetes-Pf-Flowschema-Uid: {schema.uid}\r\nX-Kubernetes-Pf-Prioritylevel-Uid: {level.uid}\r\n"
    tally = level.tally(schema.name)
    return Flow(schema.name, distinguisher, level, tally, schema.flow_hash(distinguisher), lines.encode())


def _waker(turn: asyncio.Future[None]) -> Any:
    def wake() -> None:
        if not turn.done():
            turn.set_result(None)

    return wake


def _with_mandatory(present: Trees, known: Iterable[Mapping[str, Any]]) -> Trees:
    mandatory = {tree["metadata"]["name"]: tree for tree in known if tree["metadata"]["name"] in suggested.MANDATORY}
    return mandatory | dict(present) if present else {tree["metadata"]["name"]: tree for tree in known}
