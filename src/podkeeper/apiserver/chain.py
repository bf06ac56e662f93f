"""The request chain, in the order in which a request meets it; every answer leaves through here.

audit id > what it is about > time limit > who > audit > impersonation > fair admission > may they > the handler
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from podkeeper.api.errors import ApiError, internal
from podkeeper.api.user import UserInfo
from podkeeper.apiserver import responses
from podkeeper.apiserver.authentication.authenticator import Authenticator
from podkeeper.apiserver.authentication.impersonation import IMPERSONATION, impersonate
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.deadlines import Deadlines, is_long_running
from podkeeper.apiserver.fairness.admission import FairAdmission, Flow, SentAway
from podkeeper.apiserver.metrics import RequestMetrics, request_kind
from podkeeper.apiserver.requestinfo import RequestInfo, RequestInfos
from podkeeper.foundation.http import Answer, Request, Response, Streaming, Takeover
from podkeeper.foundation.http.messages import BodyWriter

log = logging.getLogger(__name__)

_UNREADABLE = RequestInfo(path="", verb="")
_TOO_MANY = "Too many requests, please try again later.\n"


class Passage:
    """What the chain knows of a request on its way."""

    __slots__ = ("flow", "info", "request", "started", "user")

    def __init__(self, request: Request) -> None:
        self.request, self.started = request, time.perf_counter()
        self.info = _UNREADABLE
        self.user: UserInfo | None = None
        self.flow: Flow | None = None


@dataclass(frozen=True, slots=True)
class Gates:
    """What a request has to pass, in this order."""

    deadlines: Deadlines
    authenticator: Authenticator
    fairness: FairAdmission
    authorizer: Authorizer


class Chain:
    """The handler that the HTTP server calls. Never raises."""

    def __init__(self, gates: Gates, handle: Handle, metrics: RequestMetrics) -> None:
        self._infos = RequestInfos()
        self._gates, self._handle, self._metrics = gates, handle, metrics

    async def __call__(self, request: Request) -> Answer:
        """Answers one request."""
        passage = Passage(request)
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
            raise refusal from None
        finally:
            deadlines.leave(deadline)

    async def _identified(self, passage: Passage) -> Answer:
        request, results = passage.request, self._metrics.results
        try:
            user = await self._gates.authenticator.authenticate(request)
        except ApiError:
            results["authentication_attempts", "failure"] += 1
            raise
        results["authentication_attempts", "success"] += 1
        if not IMPERSONATION.isdisjoint(request.headers):
            user = await impersonate(request, user, self._gates.authorizer)
        passage.user = user
        return await self._admitted(passage, user)

    async def _admitted(self, passage: Passage, user: UserInfo) -> Answer:
        info, fairness = passage.info, self._gates.fairness
        if is_long_running(info) and info.verb != "watch":
            return await self._authorized(passage, user)  # streams last: a seat for each would soon be none for others
        flow = passage.flow = fairness.flow(user, info)
        width = fairness.width(flow, info)
        if not fairness.take(flow, width):
            await fairness.wait(flow, width, user, info)
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
            await authorizer.require(user, passage.info)
        except ApiError:
            results["authorization_attempts_total", "denied"] += 1
            raise
        results["authorization_attempts_total", "allowed"] += 1
        return await self._handle(Call(passage.request, passage.info, user, authorizer))

    def _leave(self, passage: Passage, answer: Answer) -> Answer:
        """Counts the answer, and gives it the headers that every answer has."""
        info = passage.info
        if isinstance(answer, Response):
            self._metrics.count(info, answer.status, time.perf_counter() - passage.started)
            if passage.flow is None:
                return answer
            return Response(answer.status, answer.head + passage.flow.head, answer.body, answer.headers, answer.close)
        if isinstance(answer, Takeover):
            self._metrics.count(info, 101, None)
            return answer
        self._metrics.count(info, answer.status, None)
        return self._counted(info, answer, passage.flow.head if passage.flow else b"")

    def _counted(self, info: RequestInfo, answer: Streaming, head: bytes) -> Streaming:
        """The same stream, counted while it runs."""
        series = self._metrics.series(info)

        async def run(writer: BodyWriter) -> None:
            series.running += 1
            try:
                await answer.run(writer)
            finally:
                series.running -= 1

        return Streaming(answer.status, answer.head + head, run, answer.headers, answer.abandon)
