"""One HTTP/1.1 connection to a server: httptools parses, one exchange at a time.

```
idle ──send──► waiting for the head ──► reading the body ──► idle (keep-alive) or closed
                    │ lost, or left early: closed, and the exchange fails with ConnectionFailed
```
An answer is either collected whole, or streamed: then reading from the socket pauses while the reader is behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import cast

import httptools

from podkeeper.client.api import ConnectionFailed

STREAM_BUFFER = 1 << 20  # bytes of a streamed body that may wait for their reader


class Headers(Mapping[str, str]):
    """Header fields, found under any case; of a repeated field the last."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return repr(self._fields)


class HttpConnection(asyncio.Protocol):
    """The client's end. ``usable`` tells whether another exchange may begin."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.status = 0
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._body: list[bytes] = []
        self._buffered = 0
        self._streaming = False
        self._paused = False
        self._headed = self._ended = True
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None

    def __repr__(self) -> str:
        return f"<HttpConnection {'idle' if self.usable else 'busy' if self._lost is None else f'lost: {self._lost}'}>"

    @property
    def usable(self) -> bool:
        """Connected, and no exchange under way."""
        return self._transport is not None and not self._transport.is_closing() and self._ended

    @property
    def answered(self) -> bool:
        """Whether anything of the present answer has arrived."""
        return self._headed or bool(self._fields)

    @property
    def headers(self) -> Headers:
        """The header of the present answer."""
        return Headers(self._fields)

    async def exchange(self, request: bytes) -> bytes:
        """Sends a whole request and returns the whole body. Raises ConnectionFailed; left early, it is unusable."""
        self._send(request, streaming=False)
        while not self._ended:
            await self._wait()
        return self._take()

    async def begin(self, request: bytes) -> None:
        """Sends a whole request and returns when the head of the answer is here; the body is for ``read``."""
        self._send(request, streaming=True)
        while not self._headed:
            await self._wait()

    async def read(self) -> bytes:
        """What has come of a streamed body; empty at its end."""
        while not self._body and not self._ended:
            await self._wait()
        body = self._take()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return body

    def close(self) -> None:
        """Ends the connection, and an exchange under way with it."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(ConnectionFailed("the connection was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        # uvloop's transports are no subclass.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._ended:  # an answer to nothing: the server gives up on the connection
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionFailed(f"the server's answer is not HTTP: {error}"))
            self.close()
        else:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._fail(ConnectionFailed(f"the connection was lost{f': {error}' if error else ''}"))

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._ended:
            raise ConnectionFailed("the server answered more than it was asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._fields = {}  # an interim answer: the real one follows
        else:
            self._headed = True

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        self._body.append(data)
        self._buffered += len(data)
        if self._streaming and self._buffered > STREAM_BUFFER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if not self._headed:
            return
        self._ended = True
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()

    def _send(self, request: bytes, streaming: bool) -> None:
        if self._transport is None or self._lost is not None:
            raise ConnectionFailed("the connection was lost") from self._lost
        self._fields, self._body, self._buffered = {}, [], 0
        self._streaming, self._headed, self._ended = streaming, False, False
        self._transport.write(request)

    async def _wait(self) -> None:
        """Returns when something has changed. Raises ConnectionFailed when nothing will any more."""
        if self._lost is not None:
            raise self._lost
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self) -> bytes:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body, self._buffered = [], 0
        return body

    def _wake(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if self._ended or (self._streaming and (self._body or self._headed)):
            self._waiter.set_result(None)

    def _fail(self, error: ConnectionFailed) -> None:
        if self._lost is None:
            self._lost = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
