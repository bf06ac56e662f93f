"""Writes the events of requests, stage by stage, as the policy says.

RequestReceived --> (ResponseStarted, of what goes on) --> ResponseComplete
      \\--a fault of the server--> Panic
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field

from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.audit import annotation, policy
from podkeeper.apiserver.audit.event import Event
from podkeeper.apiserver.audit.log import LogFile, LogOptions
from podkeeper.apiserver.audit.policy import Level, Policy
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family, Sample, single
from podkeeper.foundation.http import Request, Response

_GIVEN = b"audit-id"


class AuditOptions(Struct, frozen=True):
    """Without a policy and a path nothing is logged."""

    policy: Path | None = None
    log: LogOptions = field(default_factory=LogOptions)


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
    """Follows requests by one policy into one log."""

    def __init__(self, chosen: Policy, log: LogFile, clock: Clock) -> None:
        self._policy, self._log, self._clock = chosen, log, clock
        self._levels: Counter[str] = Counter()
        self._events = 0

    def begin(self, identity: str, request: Request, info: RequestInfo, user: UserInfo) -> Event | None:
        """The event of a request, None where the policy wants none."""
        event = self._event(identity, request, info, user)
        if event is None:
            annotation.collect(None)
        else:
            annotation.collect(event.annotations, detailed=event.ruling.level >= Level.REQUEST)
        if event is not None:
            event.identify(user)
            self._write(event, "RequestReceived")
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

    def close(self) -> None:
        """Closes the log."""
        self._log.close()

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the log."""

        def levels() -> Iterator[Sample]:
            for level, count in sorted(self._levels.items()):
                yield {"level": level}, count

        return (
            single("apiserver_audit_event_total", "counter", "Audit events written.", lambda: self._events),
            single("apiserver_audit_error_total", "counter", "Audit events lost.", lambda: self._log.errors),
            Family("apiserver_audit_level_total", "counter", "Requests by the policy's level.", levels),
        )

    def _event(self, identity: str, request: Request, info: RequestInfo, user: UserInfo | None) -> Event | None:
        ruling = self._policy.ruling(user, info)
        self._levels[ruling.level.label] += 1
        if ruling.level is Level.NONE:
            return None
        return Event(identity, request, info, ruling, self._clock.time())

    def _write(self, event: Event, stage: str) -> None:
        if stage not in event.ruling.omitted_stages:
            self._events += 1
            self._log.write(event.line(stage, self._clock.time()))


def auditor_of(options: AuditOptions, clock: Clock) -> Auditor | None:
    """The auditor of a server; None where nothing is to be logged. Raises PolicyError and OSError."""
    if options.policy is None or not options.log.path:
        return None
    return Auditor(policy.load(options.policy), LogFile(options.log), clock)
