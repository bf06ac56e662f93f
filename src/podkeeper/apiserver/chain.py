"""The request chain, in the order in which a request meets it; every answer leaves through here.

audit id > what it is about > time limit > who > audit > impersonation > fair admission > may they > the handler
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from msgspec import Struct

from podkeeper.api.errors import ApiError, internal
from podkeeper.api.user import UserInfo
from podkeeper.apiserver import request_log, responses
from podkeeper.apiserver.audit.auditor import AuditIds, Auditor
from podkeeper.apiserver.audit.event import Event
from podkeeper.apiserver.authentication.authenticator import Authenticator
from podkeeper.apiserver.authentication.impersonation import IMPERSONATION, impersonate
from podkeeper.apiserver.authorization.authorizer import Authorizer, Denied, refusal
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.deadlines import Deadlines, is_long_running
from podkeeper.apiserver.fairness.admission import FairAdmission, Flow, SentAway
from podkeeper.apiserver.metrics import Kind, RequestMetrics, request_kind
from podkeeper.apiserver.requestinfo import RequestInfo, RequestInfos
from podkeeper.foundation.http import Answer, Request, Response, Streaming, Takeover

log = logging.getLogger(__name__)

P = ParamSpec("P")

_UNREADABLE = RequestInfo(path="", verb="")
_TOO_MANY = "Too many requests, please try again later.\n"
_STOPPING = "The apiserver is shutting down, please try again later.\n"


class Passage:
    """What the chain knows of a request on its way."""

    __slots__ = ("event", "flow", "identity", "info", "request", "started", "waited")

    def __init__(self, request: Request, identity: str) -> None:
        self.request, self.identity, self.started = request, identity, time.perf_counter()
        self.info, self.waited = _UNREADABLE, 0.0
        self.flow: Flow | None = None
        self.event: Event | None = None


class Gates(Struct, frozen=True):
    """What a request has to pass, in this order. Without ``audit`` nothing is logged."""

    deadlines: Deadlines
    authenticator: Authenticator
    audit: Auditor | None
    fairness: FairAdmission
    authorizer: Authorizer


class Chain:
    """The handler that the HTTP server calls. Never raises."""

    def __init__(self, gates: Gates, handle: Handle, metrics: RequestMetrics) -> None:
        self._infos, self._identities = RequestInfos(), AuditIds()
        self._gates, self._handle, self._metrics = gates, handle, metrics
        #: The server ends: whoever still asks is told to come again, to the one that follows.
        self.stopping = False
        self._told = request_log.is_wanted()

    async def __call__(self, request: Request) -> Answer:
        """Answers one request."""
        passage = Passage(request, self._identities.of(request))
        if self.stopping:
            return responses.closing(_STOPPING, 429, ((b"Retry-After", b"5"),))
        try:
            answer = await self._in_time(passage)
        except ApiError as error:
            answer = responses.failure(error, request)
        except SentAway as sent:
            answer = responses.text(_TOO_MANY, 429, ((b"Retry-After", b"%d" % sent.retry_after),))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("%r failed", request)
            if passage.event is not None and self._gates.audit is not None:
                self._gates.audit.panic(passage.event, error)
                passage.event = None
            answer = responses.failure(internal(type(error).__name__), request)
        return self._leave(passage, answer)

    async def _in_time(self, passage: Passage) -> Answer:
        info = passage.info = self._infos.of(passage.request.method, passage.request.target)
        if is_long_running(info):
            return await self._identified(passage)
        deadlines = self._gates.deadlines
        deadline = deadlines.enter(deadlines.seconds(info))
        try:
            return await self._identified(passage)
        except asyncio.CancelledError:
            refusal = deadline.refusal()
            if refusal is None:
                raise
            self._metrics.terminate(info, refusal.code)
            raise refusal from None
        finally:
            deadlines.leave(deadline)

    async def _identified(self, passage: Passage) -> Answer:
        request, results = passage.request, self._metrics.results
        try:
            user = await self._gates.authenticator.authenticate(request)
        except ApiError as error:
            # As upstream tells wrong credentials from none.
            wrong = b"authorization" in request.headers or request.peer.certificate is not None
            results["authentication_attempts", "error" if wrong else "failure"] += 1
            if self._gates.audit is not None:
                self._gates.audit.refuse(passage.identity, request, passage.info, error)
            raise
        results["authentication_attempts", "success"] += 1
        if self._gates.audit is not None:
            passage.event = self._gates.audit.begin(passage.identity, request, passage.info, user)
        if not IMPERSONATION.isdisjoint(request.headers):
            user = await impersonate(request, user, self._gates.authorizer, passage.info)
            if passage.event is not None:
                passage.event.impersonate(user)
        return await self._admitted(passage, user)

    async def _admitted(self, passage: Passage, user: UserInfo) -> Answer:
        info, fairness = passage.info, self._gates.fairness
        if is_long_running(info) and info.verb != "watch":
            return await self._authorized(passage, user)  # streams last: a seat for each would soon be none for others
        flow = passage.flow = fairness.flow(user, info)
        width = fairness.width(flow, info)
        if not fairness.take(flow, width):
            since = time.perf_counter()
            await fairness.wait(flow, width, user, info)
            passage.waited = time.perf_counter() - since
        kind = request_kind(info)
        self._metrics.running[kind] += 1
        try:
            return await self._authorized(passage, user)
        finally:
            self._metrics.running[kind] -= 1
            fairness.give_back(flow, width)

    async def _authorized(self, passage: Passage, user: UserInfo) -> Answer:
        authorizer, results = self._gates.authorizer, self._metrics.results
        try:
            if passage.event is None:
                await authorizer.require(user, passage.info)
            else:
                decision = await authorizer.decide(user, passage.info)
                passage.event.judge(decision)
                if not decision.allowed:
                    raise refusal(user, passage.info, decision)
        except ApiError as error:
            # As upstream tells those who were refused from those whom nobody allowed.
            results["authorization_attempts_total", "denied" if isinstance(error, Denied) else "no-opinion"] += 1
            raise
        results["authorization_attempts_total", "allowed"] += 1
        return await self._handle(Call(passage.request, passage.info, user, authorizer))

    def _leave(self, passage: Passage, answer: Answer) -> Answer:
        """Counts the answer, and gives it the headers that every answer has."""
        head = b"Audit-Id: %b\r\n" % passage.identity.encode()
        if passage.flow is not None:
            head += passage.flow.head
        took = time.perf_counter() - passage.started
        if self._told:
            status = answer.status if not isinstance(answer, Takeover) else 101
            request_log.tell(passage.request, passage.info, passage.identity, status, took)
        if isinstance(answer, Response):
            self._metrics.series(passage.info).count(answer.status, took, passage.waited, len(answer.body))
            if passage.event is not None and self._gates.audit is not None:
                self._gates.audit.complete(passage.event, answer)
            return Response(answer.status, answer.head + head, answer.body, answer.headers, answer.close)
        status = answer.status if isinstance(answer, Streaming) else 101
        kind = self._metrics.count_stream(passage.info, status)
        if passage.event is not None and self._gates.audit is not None:
            self._gates.audit.start(passage.event, status)
        if isinstance(answer, Takeover):
            return Takeover(self._followed(passage, kind, answer.run), answer.abandon)
        run = self._followed(passage, kind, answer.run)
        return Streaming(answer.status, answer.head + head, run, answer.headers, answer.abandon)

    def _followed(
        self, passage: Passage, kind: Kind, run: Callable[P, Awaitable[None]]
    ) -> Callable[P, Awaitable[None]]:
        """The same stream, counted while it runs, and logged when it has ended."""
        event, audit = passage.event, self._gates.audit

        async def followed(*args: P.args, **kwargs: P.kwargs) -> None:
            kind.running += 1
            try:
                await run(*args, **kwargs)
            finally:
                kind.running -= 1
                if event is not None and audit is not None:
                    audit.complete(event, None)

        return followed
