"""One request to another HTTP/1.1 server, for passing it on: the head first, then the body in pieces, or the bare
transport.

sent --head--> streaming body --> complete
          \\--101--> take_over: the transport belongs to the caller
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import cast

import httptools

#: Body bytes that may wait before we stop reading from the other server.
HIGH_WATER = 256 << 10


class ExchangeFailed(Exception):
    """The other server could not be reached, or ended in mid-answer."""


class Exchange(asyncio.Protocol):
    """The answer to one request. ``close`` it when done, complete or not."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.Future[None] = self._loop.create_future()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self._rest = b""
        self._complete = self._paused = False
        self._failure: Exception | None = None

    @classmethod
    async def send(
        cls,
        address: tuple[str, int],
        tls: ssl.SSLContext | None,
        request: bytes,
        *,
        timeout: float = 30.0,
        server_name: str = "",
    ) -> Exchange:
        """Connects, sends ``request`` (a whole HTTP message) and waits for the head of the answer.

        ``timeout`` is for the connection alone; ``server_name`` is whose certificate is wanted, if not the address's.
        Raises ExchangeFailed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                name = server_name if tls is not None and server_name else None
                _, exchange = await loop.create_connection(cls, address[0], address[1], ssl=tls, server_hostname=name)
        except TimeoutError:
            raise ExchangeFailed(f"dial tcp {address[0]}:{address[1]}: i/o timeout") from None
        except (OSError, ssl.SSLError) as error:
            reason = "connect: connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
            raise ExchangeFailed(f"dial tcp {address[0]}:{address[1]}: {reason}") from error
        try:
            cast(asyncio.Transport, exchange._transport).write(request)
            await exchange._head
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ExchangeFailed when the other server ends too early."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                if self._paused and self._size < HIGH_WATER // 2 and self._transport is not None:
                    self._paused = False
                    self._transport.resume_reading()
                yield piece
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def take_over(self) -> tuple[asyncio.Transport, bytes]:
        """After a 101: the transport, with reading paused, and the bytes that came after the head."""
        transport = self._transport
        if transport is None:
            raise ExchangeFailed("the connection has ended")
        self._transport = None
        return transport, self._rest

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = bytes(data[upgrade.args[0] :])
            self._pause()
        except httptools.HttpParserError as error:
            self._fail(ExchangeFailed(f"malformed HTTP response: {error}"))
        if self._size > HIGH_WATER:
            self._pause()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends a body without length; anything else that is incomplete has failed."""
        self._transport = None
        if not self._complete:
            names = {name for name, _ in self.headers}
            if self._head.done() and not names & {b"content-length", b"transfer-encoding"}:
                self.on_message_complete()
            else:
                self._fail(ExchangeFailed(str(error) if error else "unexpected EOF"))

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole; an informational one other than 101 is skipped."""
        self.status = self._parser.get_status_code()
        if not 100 <= self.status < 200 or self.status == 101:
            if not self._head.done():
                self._head.set_result(None)
        else:
            self.headers.clear()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._arrived.set()

    def on_message_complete(self) -> None:
        """The body is whole."""
        if self.status >= 200 or self.status == 101:
            self._complete = True
            self._arrived.set()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        if not self._head.done():
            self._head.set_exception(failure)
        self._arrived.set()
        self.close()


def request_message(method: str, target: str, headers: Sequence[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """A whole HTTP/1.1 request. A Content-Length is added when there is a body or the method has one."""
    lines = [f"{method} {target} HTTP/1.1\r\n".encode("latin-1")]
    lines += [b"%b: %b\r\n" % pair for pair in headers]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(b"Content-Length: %d\r\n" % len(body))
    return b"".join(lines) + b"\r\n" + body
