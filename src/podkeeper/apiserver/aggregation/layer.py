"""In front of this server's own handlers: what other servers answer goes to them."""

from __future__ import annotations

import gzip
import ssl
from typing import TYPE_CHECKING

import orjson
from msgspec.structs import replace

from podkeeper.api.errors import ApiError
from podkeeper.apiserver import responses
from podkeeper.apiserver.aggregation.front_proxy import strip_ours, user_headers
from podkeeper.apiserver.aggregation.keeper import AggregationKeeper
from podkeeper.apiserver.aggregation.remotes import Remote
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.streaming.passing import send, stream_back
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.http import Answer, Request, Response
from podkeeper.foundation.http.client import ExchangeFailed

if TYPE_CHECKING:
    from podkeeper.apiserver.aggregation.specs import Specs

_SECOND_SPEC, _SPEC = "/openapi/v2", "/openapi/v3"


class AggregationLayer:
    """A handle around the handle ``below``. The request has been authenticated and authorized here."""

    def __init__(self, keeper: AggregationKeeper, below: Handle, clock: Clock) -> None:
        self._keeper, self._below, self._clock = keeper, below, clock
        self._specs: Specs | None = None

    async def __call__(self, call: Call) -> Answer:
        """Passes on what is another server's."""
        path = call.info.path
        if not self._keeper:
            return await self._below(call)
        if path.rstrip("/") == _SPEC:
            return await self._index(call)
        if path.rstrip("/") == _SECOND_SPEC:
            return await self._second(call)
        remote = self._remote(path.removeprefix(_SPEC))
        return await self._below(call) if remote is None else await self._pass_on(call, remote)

    def _remote(self, path: str) -> Remote | None:
        parts = path.split("/", 4)
        if len(parts) < 4 or parts[1] != "apis":
            return None
        return self._keeper.serving(parts[2], parts[3])

    async def _pass_on(self, call: Call, remote: Remote) -> Answer:
        if not self._keeper.is_available(remote):
            return responses.text("service unavailable\n", 503)
        try:
            where = await self._keeper.locate(remote)
        except (ApiError, ssl.SSLError):
            return responses.text("service unavailable\n", 503)
        strip_ours(call.request.headers)
        own = [(b"Host", where.authority.encode()), *user_headers(call.user)]
        try:
            exchange = await send(call, where, call.request.target.decode("latin-1"), own)
        except ExchangeFailed as error:
            return responses.text(f"error trying to reach service: {error}\n", 503)
        return stream_back(exchange)

    async def _second(self, call: Call) -> Answer:
        """The version 2 document with what the remotes add."""
        from podkeeper.apiserver.aggregation.specs import Specs  # few clusters have remotes, fewer clients want this

        if self._specs is None:
            self._specs = Specs(self._keeper, self._clock)
        plain = Request("GET", call.request.target, {b"accept": b"application/json"})
        own = await self._below(replace(call, request=plain))
        assert isinstance(own, Response), "a document is no stream"
        return await self._specs.answer(call, own)

    async def _index(self, call: Call) -> Answer:
        """The index of OpenAPI documents with the remotes' own."""
        call.request.headers.pop(b"accept-encoding", None)
        answer = await self._below(call)
        if not isinstance(answer, Response) or answer.status != 200:
            return answer
        body = gzip.decompress(answer.body) if answer.body[:2] == b"\x1f\x8b" else answer.body
        tree = orjson.loads(body)
        for remote in self._keeper.remotes:
            url = self._keeper.openapi.get(remote.name)
            if url:
                tree["paths"][remote.path.lstrip("/")] = {"serverRelativeURL": url}
        return Response(200, responses.JSON_HEAD, orjson.dumps(tree))
