"""One HTTP/1.1 connection: httptools parses, a task of the server's group answers requests one after the other.

idle --first byte--> reading --request complete--> answering --answer written, keep-alive--> idle
  |                     \\--too slow--> 408, closed    \\--Takeover--> the transport belongs to the answer
  \\--idle timeout, EOF--> closed
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from podkeeper.foundation.http.body import ConnectionBody
from podkeeper.foundation.http.messages import (
    Answer,
    Peer,
    Request,
    Response,
    Streaming,
    Takeover,
    status_line,
)
from podkeeper.foundation.http.patience import Patience

if TYPE_CHECKING:
    from podkeeper.foundation.http.server import HttpServer

log = logging.getLogger(__name__)

#: Requests that a client may send ahead of their answers before we stop reading.
PIPELINE = 16
#: Bytes of an oversized body that are read and dropped so that the client can still see the answer.
DISCARD = 16 << 20
#: Bytes that may wait in a connection's transport before it counts as congested.
WRITE_BUFFER = 256 << 10
#: Bodies from here on are written on their own instead of being joined to the head.
LARGE = 1 << 16
#: How much of such a body is written at once.
SLICE = 1 << 17

_PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n"


class Connection(asyncio.Protocol):
    """The protocol object that a listening socket makes for each client."""

    def __init__(self, server: HttpServer) -> None:
        self._server, self._limits = server, server.limits
        self._loop = server.loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = Peer(None)
        self._task: asyncio.Task[None] | None = None
        self._requests: deque[Request] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._request: Request | None = None
        self._body: list[bytes] = []
        self._head_size = self._head_lines = self._body_size = 0
        self.headed = False
        self._rest = b""
        self._writable: asyncio.Future[None] | None = None
        self._congested = self._reading_paused = self._closing = False
        self._on_drained: Callable[[], None] | None = None
        self._patience = Patience(self._loop, self._limits, self)

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the task that answers."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._peer = Peer(transport, self._server.verification)
        self._task = self._server.adopt(self)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; a request that is complete wakes the task."""
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = bytes(data[upgrade.args[0] :])
            self._pause_reading()
        except httptools.HttpParserError as error:
            self.refuse(400, f"malformed HTTP request: {error}")
        if self._request is not None and not self._closing:
            self._patience.sends()

    def eof_received(self) -> bool | None:
        """The client sends no more; what it has asked for is still answered where the transport allows it."""
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the task with whatever it was doing for this client."""
        self._closing = True
        self._transport = None
        self._patience.end()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self._congested = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._congested = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._on_drained is not None:
            self._on_drained()

    # what the parser calls

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._request = Request("", b"", {}, b"", self._peer)
        self._body = []
        self._head_size = self._head_lines = self._body_size = 0
        self.headed = False

    def on_url(self, url: bytes) -> None:
        """The request target, possibly in parts."""
        assert self._request is not None
        self._request.target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line. Those after the body are dropped: whoever has judged the head has not seen them."""
        assert self._request is not None
        if self.headed:
            self._count_head(len(name) + len(value))
            return
        self._head_lines += 1
        headers = self._request.headers
        name = name.lower()
        headers[name] = headers[name] + b", " + value if name in headers else value
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """The body, if any, follows."""
        request = self._request
        assert request is not None
        self.headed = True
        request.method = self._parser.get_method().decode("latin-1")
        request.upgrade = self._parser.should_upgrade()
        request.keep_alive = self._parser.should_keep_alive()
        request.version_1_0 = self._parser.get_http_version() == "1.0"
        if request.headers.get(b"expect", b"").lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """A part of the body; one that is too long is dropped, not kept."""
        request = self._request
        assert request is not None
        self._body_size += len(part)
        if self._body_size <= self._limits.body:
            self._body.append(part)
            return
        self._body.clear()
        if not request.oversized:
            request.oversized, request.keep_alive = True, False
        if self._body_size > DISCARD and not self._closing:
            self._deliver(request)
            self._pause_reading()

    def on_message_complete(self) -> None:
        """The request is whole."""
        request = self._request
        assert request is not None
        if not self._closing:
            request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._deliver(request)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        too_large = self._head_size > self._limits.head or self._head_lines > self._limits.lines
        if too_large and not self._closing:
            self.refuse(431, "request header too large")

    def _deliver(self, request: Request) -> None:
        self._request = None
        self._patience.has_sent()
        self._requests.append(request)
        if len(self._requests) >= PIPELINE:
            self._pause_reading()
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    # what the task does

    async def serve(self) -> None:
        """Answers requests in order until the connection ends."""
        try:
            while not self._closing and (self._requests or await self._wait_for_request()):
                request = self._requests.popleft()
                if self._reading_paused and not request.upgrade:
                    self._resume_reading()
                answer = await self._server.handler(request)
                if not await self._send(request, answer):
                    return
                self._patience.answered()
                if self._server.stopping:
                    return
        except asyncio.CancelledError:
            if self._transport is not None:  # the server stops; a lost connection needs no answer
                raise
        finally:
            self._server.forget(self)
            self.close()

    @property
    def idle(self) -> bool:
        """No request is being read or answered."""
        return self._arrived is not None and self._request is None

    @property
    def held(self) -> bool:
        """What the client sends has to wait for an answer before it."""
        return self._reading_paused or self._arrived is None

    def refuse(self, status: int, message: str) -> None:
        """Answers with plain text, if nothing else is being answered, and closes."""
        if self._transport is not None and not self._requests and self._arrived is not None:
            body = message.encode()
            refusal = Response(status, _PLAIN, body)
            self._write_response(Request("GET", b""), refusal, keep=False)
        self.close()

    def close(self) -> None:
        """Closes after what was written has been sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    async def _wait_for_request(self) -> bool:
        self._arrived = self._loop.create_future()
        try:
            await self._arrived
        finally:
            self._arrived = None
        return bool(self._requests)

    async def _send(self, request: Request, answer: Answer) -> bool:
        """Writes the answer; True if the connection can carry another request."""
        if isinstance(answer, Response):
            keep = request.keep_alive and not answer.close and not request.upgrade
            rest = self._write_response(request, answer, keep)
            if rest:
                await self._write_slices(rest)
            elif self._congested:
                await self.drained()
            return keep
        if isinstance(answer, Takeover):
            await self._hand_over(answer)
            return False
        return await self._stream(request, answer)

    def _write_response(self, request: Request, answer: Response, keep: bool) -> bytes:
        """Writes the head and a body that is not long. Returns what is still to be written."""
        if self._transport is None:
            return b""
        body = answer.body
        parts = [status_line(answer.status), answer.head, self._server.date_line()]
        parts += [b"%b: %b\r\n" % pair for pair in answer.headers]
        if not keep:
            parts.append(b"Connection: close\r\n")
        elif request.version_1_0:
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"Content-Length: %d\r\n\r\n" % len(body))
        if request.method == "HEAD":
            body = b""
        if len(body) < LARGE:
            parts.append(body)
            self._transport.write(b"".join(parts))
            return b""
        self._transport.write(b"".join(parts))
        return body

    async def _write_slices(self, body: bytes) -> None:
        """Writes a long body as the peer takes it: what is encrypted at once is copied several times over."""
        whole = memoryview(body)
        for start in range(0, len(body), SLICE):
            if self._congested:
                await self.drained()
            if self._transport is None:
                return
            self._transport.write(whole[start : start + SLICE])

    async def _hand_over(self, answer: Takeover) -> None:
        transport, self._transport = self._transport, None
        self._patience.end()
        if transport is None:
            if answer.abandon is not None:
                answer.abandon()
            return
        try:
            await answer.run(transport, self._rest)
        finally:
            transport.close()

    async def _stream(self, request: Request, answer: Streaming) -> bool:
        transport = self._transport
        if transport is None:
            if answer.abandon is not None:
                answer.abandon()
            return False
        chunked = not request.version_1_0
        parts = [status_line(answer.status), answer.head, self._server.date_line()]
        parts += [b"%b: %b\r\n" % pair for pair in answer.headers]
        keep = request.keep_alive and chunked and not request.upgrade
        if not keep:
            parts.append(b"Connection: close\r\n")
        if chunked:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        transport.write(b"".join(parts) + b"\r\n")
        if request.method == "HEAD":
            if answer.abandon is not None:
                answer.abandon()
            return False
        try:
            await answer.run(ConnectionBody(self, transport, chunked))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("%r: the answer broke off", request)
            transport.abort()
            return False
        finally:
            self._on_drained = None
        if chunked:
            transport.write(b"0\r\n\r\n")
        return keep

    @property
    def congested(self) -> bool:
        """The peer reads more slowly than we write."""
        return self._congested

    def set_on_drained(self, call: Callable[[], None] | None) -> None:
        """``call`` is called each time congestion ends."""
        self._on_drained = call

    async def drained(self) -> None:
        """Waits until the peer has read enough."""
        while self._congested and self._transport is not None:
            self._writable = self._loop.create_future()
            await self._writable
        self._writable = None

    # small parts

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._reading_paused = False
        if self._transport is not None:
            self._transport.resume_reading()
