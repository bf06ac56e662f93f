"""The request chain, in the order in which a request meets it; every answer leaves through here."""

from __future__ import annotations

import asyncio
import logging

from podkeeper.api.errors import ApiError, internal
from podkeeper.apiserver import responses
from podkeeper.apiserver.authentication.authenticator import Authenticator
from podkeeper.apiserver.authentication.impersonation import IMPERSONATION, impersonate
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.metrics import RequestMetrics
from podkeeper.apiserver.requestinfo import RequestInfos
from podkeeper.foundation.http import Answer, Request

log = logging.getLogger(__name__)


class Chain:
    """The handler that the HTTP server calls. Never raises."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, handle: Handle, metrics: RequestMetrics
    ) -> None:
        self._infos = RequestInfos()
        self._authenticator, self._authorizer, self._handle = authenticator, authorizer, handle
        self._metrics = metrics

    async def __call__(self, request: Request) -> Answer:
        """Answers one request."""
        try:
            answer = await self._walk(request)
        except ApiError as error:
            answer = responses.failure(error, request)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("%r failed", request)
            answer = responses.failure(internal(type(error).__name__), request)
        self._metrics.count(request, answer)
        return answer

    async def _walk(self, request: Request) -> Answer:
        info = self._infos.of(request.method, request.target)
        user = await self._authenticator.authenticate(request)
        if not IMPERSONATION.isdisjoint(request.headers):
            user = await impersonate(request, user, self._authorizer)
        await self._authorizer.require(user, info)
        return await self._handle(Call(request, info, user, self._authorizer))
