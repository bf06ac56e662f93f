"""Writes the events of requests, stage by stage, as the policy says.

RequestReceived --> (ResponseStarted, of what goes on) --> ResponseComplete
      \\--a fault of the server--> Panic
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.audit import annotation, policy
from podkeeper.apiserver.audit.event import Event
from podkeeper.apiserver.audit.options import AuditOptions, OutletOptions
from podkeeper.apiserver.audit.policy import Level, Policy
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family, Sample, single
from podkeeper.foundation.http import Request, Response

_GIVEN = b"audit-id"


class AuditIds:
    """Identities of requests: as unlike each other as they must be, and cheap: random but for a counter."""

    def __init__(self) -> None:
        self._beginning = str(uuid.uuid4())[:24]
        self._numbers = itertools.count(int.from_bytes(uuid.uuid4().bytes[:5]))

    def of(self, request: Request) -> str:
        """What the client calls its request, or else a new identity."""
        given = request.headers.get(_GIVEN)
        if given is not None and len(given) <= 64 and given.isascii() and given.decode().isprintable():
            return given.decode()
        return f"{self._beginning}{next(self._numbers) & 0xFFFFFFFFFFFF:012x}"


class Auditor:
    """Follows requests by one policy into the outlets."""

    def __init__(self, chosen: Policy, options: Sequence[OutletOptions], clock: Clock) -> None:
        """Raises OSError, and KubeconfigInvalid."""
        from podkeeper.apiserver.audit.outlets import outlet_of  # most servers log nothing

        self._policy, self._clock = chosen, clock
        self._failures: Counter[str] = Counter()
        self._outlets = [(each, outlet_of(each, self._failures, clock)) for each in options]
        self._levels: Counter[str] = Counter()
        self._events = self._rejected = 0

    async def run(self) -> None:
        """Works until cancelled; at once over where events are written at once."""
        async with asyncio.TaskGroup() as tasks:
            for _, outlet in self._outlets:
                tasks.create_task(outlet.run())

    def begin(self, identity: str, request: Request, info: RequestInfo, user: UserInfo) -> Event | None:
        """The event of a request, None where the policy wants none. Raises 500 where its beginning must be told and
        cannot be."""
        event = self._event(identity, request, info, user)
        if event is None:
            annotation.collect(None)
        else:
            annotation.collect(event.annotations, detailed=event.ruling.level >= Level.REQUEST)
        if event is not None:
            event.identify(user)
            if not self._write(event, "RequestReceived"):
                self._rejected += 1
                uri = request.target.decode("latin-1")
                raise ApiError(500, "InternalError", f'Internal Server Error: "{uri}": failed to store audit event')
        return event

    def refuse(self, identity: str, request: Request, info: RequestInfo, error: ApiError) -> None:
        """Credentials were refused: one event tells it all."""
        event = self._event(identity, request, info, None)
        if event is not None:
            said = {"status": "Failure", "reason": error.reason, "message": f"Authentication failed: {error.message}"}
            event.tree["responseStatus"] = {"metadata": {}, **said, "code": error.code}
            self._write(event, "ResponseStarted")

    def start(self, event: Event, status: int) -> None:
        """The answer has begun and goes on."""
        event.tree["responseStatus"] = {"metadata": {}, "code": status}
        self._write(event, "ResponseStarted")

    def complete(self, event: Event, answer: Response | None) -> None:
        """The answer is whole; without one, a stream has ended."""
        if answer is not None:
            event.answer(answer)
        self._write(event, "ResponseComplete")

    def panic(self, event: Event, fault: Exception) -> None:
        """The server has failed."""
        told = f"APIServer panic'd: {type(fault).__name__}"
        status = {"status": "Failure", "reason": "InternalError", "message": told}
        event.tree["responseStatus"] = {"metadata": {}, **status, "code": 500}
        self._write(event, "Panic")

    async def close(self) -> None:
        """Tells what is still there."""
        for _, outlet in self._outlets:
            await outlet.close()

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the log."""

        def failures() -> Iterator[Sample]:
            for plugin, count in sorted(self._failures.items()):
                yield {"plugin": plugin}, count

        def levels() -> Iterator[Sample]:
            for level, count in sorted(self._levels.items()):
                yield {"level": level}, count

        return (
            single("apiserver_audit_event_total", "counter", "Audit events written.", lambda: self._events),
            single("apiserver_audit_requests_rejected_total", "counter", "Refused, untold.", lambda: self._rejected),
            Family("apiserver_audit_error_total", "counter", "Audit events lost.", failures),
            Family("apiserver_audit_level_total", "counter", "Requests by the policy's level.", levels),
        )

    def _event(self, identity: str, request: Request, info: RequestInfo, user: UserInfo | None) -> Event | None:
        ruling = self._policy.ruling(user, info)
        self._levels[ruling.level.label] += 1
        if ruling.level is Level.NONE:
            return None
        return Event(identity, request, info, ruling, self._clock.time())

    def _write(self, event: Event, stage: str) -> bool:
        """Tells the event everywhere; False where it must have been told and was not."""
        if stage in event.ruling.omitted_stages:
            return True
        self._events += 1
        now, told = self._clock.time(), True
        line = event.line(stage, now)
        for options, outlet in self._outlets:
            kept: bytes | None = line
            if options.longest and len(line) > options.longest:
                kept = self._cut(event, stage, now, options.longest)
            taken = kept is not None and outlet.take(kept)
            told = told and (taken or not options.strict)
        return told

    def _cut(self, event: Event, stage: str, now: float, longest: int) -> bytes | None:
        """The event without contents; None where it is too long all the same."""
        if event.ruling.level >= Level.REQUEST:
            line = event.line(stage, now, cut=True)
            if len(line) <= longest:
                return line
        self._failures["truncate"] += 1
        return None


def auditor_of(options: AuditOptions, clock: Clock) -> Auditor | None:
    """The auditor of a server; None where nothing is to be told. Raises PolicyError, OSError, KubeconfigInvalid."""
    if options.policy is None or not options.outlets:
        return None
    return Auditor(policy.load(options.policy), options.outlets, clock)
