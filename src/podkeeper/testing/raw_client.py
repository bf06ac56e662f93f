"""A client that sends what it is told and shows what came back: one request a connection, no retries, no types.

client = RawClient(server)                                  reply = await client("POST", path, tree, accept="...")
stream = await client.watch(f"{path}?watch=1")              event = await stream.next()
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from podkeeper.foundation.http.client import Exchange, request_message
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.testing.api_server import TestServer

#: Seconds after which what is waited for never comes.
PATIENCE = 20.0


class Reply(Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def tree(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """What a Status says."""
        return str(self.tree["message"])


class RawWatch:
    """A running watch, event by event. Every wait is bounded."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._lines = self._read()

    async def _read(self) -> AsyncIterator[Any]:
        waiting = b""
        async for piece in self.exchange.pieces():
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in lines:
                yield json.loads(line)

    async def next(self) -> Any:
        """The next event. Raises TimeoutError, StopAsyncIteration."""
        async with asyncio.timeout(PATIENCE):
            return await anext(self._lines)

    async def seen(self, count: int) -> list[tuple[str, str]]:
        """Type of event and name of object of the next ``count`` events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]

    async def ended(self) -> bool:
        """Whether nothing more comes because the server ended it."""
        async with asyncio.timeout(PATIENCE):
            return await anext(self._lines, None) is None

    def close(self) -> None:
        self.exchange.close()


class RawClient:
    """Requests to a test server; as the admin unless another token or certificate is given."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.token = server.admin_token
        self._contexts: dict[KeyPair | None, ssl.SSLContext] = {}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        pair: KeyPair | None = None,
        **headers: str,
    ) -> Reply:
        """``body`` is sent as JSON unless it is bytes; ``content_type="..."`` is a header, as are all further words."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = {"accept": "application/json"}
        if data:
            lines["content-type"] = "application/json"
        secret = self.token if token is None else token
        if secret and pair is None:
            lines["authorization"] = f"Bearer {secret}"
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        exchange = await self._send(method, path, lines, data, pair)
        parts = [piece async for piece in exchange.pieces()]
        exchange.close()
        names: dict[str, str] = {}
        for name, value in exchange.headers:  # what stands there several times is one list
            names[name.decode()] = ", ".join(filter(None, (names.get(name.decode()), value.decode())))
        return Reply(exchange.status, names, b"".join(parts))

    async def watch(self, path: str, **headers: str) -> RawWatch:
        """Opens a watch, whose path has its query already; it must be let in."""
        lines = {"accept": "application/json", "authorization": f"Bearer {self.token}"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        exchange = await self._send("GET", path, lines, b"", None)
        if exchange.status != 200:
            raise AssertionError(f"{path} answers {exchange.status}")
        return RawWatch(exchange)

    async def first_line(self, path: str) -> Any:
        """The first thing that a watch says, which is closed then."""
        watch = await self.watch(path)
        said = await watch.next()
        watch.close()
        return said

    async def until(self, path: str, holds: Callable[[Reply], Any], accept: str = "application/json") -> Reply:
        """Asks until the answer is as wanted. Raises AssertionError with the last answer."""
        reply = await self("GET", path, accept=accept)
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds(reply):
                    reply = await self("GET", path, accept=accept)
        except TimeoutError:
            raise AssertionError(f"{path} never came to be as wanted: {reply.body!r}") from None
        return reply

    async def eventually(self, holds: Callable[[], Awaitable[Any]]) -> Any:
        """Awaits ``holds()`` until it says something true, which is returned."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await holds()):
                pass
        return found

    async def _send(
        self, method: str, path: str, lines: Mapping[str, str], data: bytes, pair: KeyPair | None
    ) -> Exchange:
        heads = [(b"host", b"test"), (b"connection", b"close")]
        heads += [(name.encode(), value.encode()) for name, value in lines.items()]
        message = request_message(method, path, heads, data)
        return await Exchange.send(("127.0.0.1", self.server.server.port), self._tls(pair), message)

    def _tls(self, pair: KeyPair | None) -> ssl.SSLContext:
        context = self._contexts.get(pair)
        if context is None:
            context = self._contexts[pair] = self.server.tls(pair)
            context.check_hostname = False
        return context
