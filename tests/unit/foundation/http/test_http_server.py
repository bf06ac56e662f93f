"""The HTTP server over plain sockets: what arrives at the handler, and what leaves in which order."""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from podkeeper.foundation.http import Answer, BodyWriter, HttpServer, Limits, Request, Response, Streaming, Takeover
from podkeeper.foundation.http.client import Exchange, ExchangeFailed, request_message
from podkeeper.foundation.http.relay import relay

HEAD = b"Content-Type: text/plain\r\n"


async def echo(request: Request) -> Answer:
    text = f"{request.method} {request.target.decode()} {len(request.body)} {request.header(b'x-a')}"
    return Response(200, HEAD, text.encode())


@asynccontextmanager
async def serving(
    handler: Callable[[Request], Awaitable[Answer]], limits: Limits | None = None
) -> AsyncIterator[tuple[HttpServer, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    server, ready = HttpServer(handler, limits), asyncio.Event()
    task = asyncio.create_task(server.serve(listener, None, ready))
    await ready.wait()
    try:
        yield server, listener.getsockname()[1]
    finally:
        task.cancel()
        await asyncio.wait([task])


class Peer:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Peer:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    async def answer(self) -> tuple[str, dict[str, str], bytes]:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = b""
            if "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            return head[0], headers, body

    async def ask(self, raw: bytes) -> tuple[str, dict[str, str], bytes]:
        self.writer.write(raw)
        return await self.answer()

    async def closed(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        peer.writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(40)))
        bodies = [(await peer.answer())[2] for _ in range(40)]
        assert bodies == [b"GET /%d 0 " % number for number in range(40)]
        peer.writer.close()


async def test_bodies_by_length_and_in_chunks_and_repeated_headers() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        raw = b"POST /a HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc"
        assert (await peer.ask(raw))[2] == b"POST /a 3 1, 2"
        chunked = b"PUT /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
        assert (await peer.ask(chunked))[2] == b"PUT /b 5 "
        peer.writer.close()


async def test_a_client_that_waits_for_permission_gets_it() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        peer.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await peer.answer())[0] == "HTTP/1.1 100 Continue"
        assert (await peer.ask(b"ab"))[2] == b"POST / 2 "
        peer.writer.close()


async def test_the_end_of_a_connection_follows_what_was_asked() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        _, headers, _ = await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert headers["connection"] == "close"
        assert await peer.closed()
        old = await Peer.connect(port)
        await old.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert await old.closed()


async def test_an_answer_to_head_has_no_body() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        peer.writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await peer.reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 9" in head
        assert (await peer.answer())[2] == b"GET /2 0 "
        peer.writer.close()


@pytest.mark.parametrize(
    "raw", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
async def test_what_is_no_request_is_refused(raw: bytes) -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        assert (await peer.ask(raw))[0] == "HTTP/1.1 400 Bad Request"
        assert await peer.closed()


async def test_limits_of_head_and_body() -> None:
    seen: list[bool] = []

    async def handler(request: Request) -> Answer:
        seen.append(request.oversized)
        return Response(413 if request.oversized else 200, HEAD)

    async with serving(handler, Limits(head=1000, body=10)) as (_, port):
        peer = await Peer.connect(port)
        line, _, _ = await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 2000 + b"\r\n\r\n")
        assert line == "HTTP/1.1 431 Request Header Fields Too Large"
        assert await peer.closed()
        other = await Peer.connect(port)
        line, headers, _ = await other.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + b"x" * 20)
        assert (line, headers["connection"]) == ("HTTP/1.1 413 Request Entity Too Large", "close")
        assert seen == [True]


async def test_idle_connections_are_closed() -> None:
    async with serving(echo, Limits(idle_timeout=0.05)) as (server, port):
        peer = await Peer.connect(port)
        await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await peer.closed()
        assert server.connections == 0


@pytest.mark.parametrize(
    "beginning",
    [
        b"G",
        b"GET / HTTP/1.1\r\nX-A: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_a_request_that_does_not_end_is_answered_408(beginning: bytes) -> None:
    async with serving(echo, Limits(head_timeout=0.05, request_timeout=0.1)) as (_, port):
        peer = await Peer.connect(port)
        status, headers, _ = await peer.ask(beginning)
        assert status == "HTTP/1.1 408 Request Timeout"
        assert headers["connection"] == "close"
        assert await peer.closed()


async def test_a_client_that_says_nothing_is_not_waited_for_as_long_as_one_between_requests() -> None:
    async with serving(echo, Limits(head_timeout=0.05, idle_timeout=3600.0)) as (server, port):
        peer, silent = await Peer.connect(port), await Peer.connect(port)
        await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await silent.closed()
        assert server.connections == 1


async def test_a_slow_handler_is_not_the_clients_fault() -> None:
    release = asyncio.Event()

    async def slow(request: Request) -> Answer:
        await release.wait()
        return Response(200, HEAD, request.target)

    async with serving(slow, Limits(head_timeout=0.02, request_timeout=0.02, idle_timeout=0.02)) as (_, port):
        peer, other = await Peer.connect(port), await Peer.connect(port)
        peer.writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HT")
        other.writer.write(b"G")
        assert (await other.answer())[0] == "HTTP/1.1 408 Request Timeout"  # so much time has gone by
        release.set()
        assert (await peer.answer())[2] == b"/a"


async def test_headers_after_the_body_are_not_taken_for_headers() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        _, _, body = await peer.ask(head + b"2\r\nab\r\n0\r\nX-A: smuggled\r\n\r\n")
        assert body == b"POST / 2 "
        assert (await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: seen\r\n\r\n"))[2] == b"GET / 0 seen"
        peer.writer.close()


async def test_a_head_of_too_many_lines_is_refused() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        status, _, _ = await peer.ask(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 1001 + b"\r\n")
        assert status == "HTTP/1.1 431 Request Header Fields Too Large"


async def test_thousands_of_half_open_connections_keep_nobody_from_being_answered() -> None:
    loop = asyncio.get_running_loop()
    async with serving(echo) as (server, port):
        sockets = []
        try:
            for number in range(3000):
                each = socket.socket()
                each.setblocking(False)
                sockets.append(each)
                await loop.sock_connect(each, ("127.0.0.1", port))
                if number % 3:
                    await loop.sock_sendall(each, b"GET / HT"[: number % 9])
            peer = await Peer.connect(port)
            assert (await peer.ask(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"))[2] == b"GET /x 0 "
            assert server.connections == 3001
            peer.writer.close()
        finally:
            for each in sockets:
                each.close()


async def test_a_streaming_answer_comes_in_chunks_and_keeps_the_connection() -> None:
    async def handler(request: Request) -> Answer:
        async def run(writer: BodyWriter) -> None:
            writer.write(b"hello")
            writer.write(b"world")

        return Streaming(200, HEAD, run)

    async with serving(handler) as (_, port):
        peer = await Peer.connect(port)
        for _ in range(2):
            _, headers, _ = await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert headers["transfer-encoding"] == "chunked"
            assert await peer.reader.readexactly(25) == b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
        old = await Peer.connect(port)
        old.writer.write(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await old.reader.read()).endswith(b"\r\n\r\nhelloworld")


async def test_a_writer_tells_when_its_reader_is_slow() -> None:
    congested, drained = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        async def run(writer: BodyWriter) -> None:
            while not writer.congested:
                writer.write(b"x" * 100_000)
            congested.set()
            await writer.drained()
            drained.set()

        return Streaming(200, HEAD, run)

    async with serving(handler) as (_, port), asyncio.timeout(10):
        peer = await Peer.connect(port)
        peer.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await congested.wait()
        assert not drained.is_set()
        assert (await peer.reader.read()).endswith(b"0\r\n\r\n")
        assert drained.is_set()


async def test_a_long_body_is_written_as_its_reader_takes_it() -> None:
    """And arrives whole, with what was asked for behind it; a reader that leaves in the middle harms nobody."""
    body = bytes(range(256)) * (1 << 16)
    written = 0

    async def handler(request: Request) -> Answer:
        return Response(200, HEAD, body)

    write = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def counting(transport: asyncio.Transport, data: bytes) -> None:
        nonlocal written
        written += len(data)
        write(transport, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio.selector_events._SelectorSocketTransport.write", counting)
        async with serving(handler) as (_, port):
            leaving, staying = await Peer.connect(port), await Peer.connect(port)
            leaving.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await leaving.reader.readuntil(b"\r\n\r\n")
            assert written < len(body)
            leaving.writer.transport.abort()
            staying.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
            assert [(await staying.answer())[2] == body for _ in range(2)] == [True, True]


async def test_a_client_that_leaves_cancels_what_is_done_for_it() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with serving(handler) as (server, port), asyncio.timeout(10):
        peer = await Peer.connect(port)
        peer.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await started.wait()
        peer.writer.close()
        await cancelled.wait()
        while server.connections:
            await asyncio.sleep(0)


async def test_a_stop_lets_answers_end() -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Answer:
        started.set()
        await go.wait()
        return Response(200, HEAD, b"late")

    async with serving(handler) as (server, port), asyncio.timeout(10):
        idle, busy = await Peer.connect(port), await Peer.connect(port)
        busy.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await started.wait()
        stopping = asyncio.create_task(server.stop(patience=5))
        assert await idle.closed()
        go.set()
        assert (await busy.answer())[2] == b"late"
        await stopping
        assert await busy.closed()


async def test_a_takeover_gets_the_bytes_that_follow() -> None:
    got: list[bytes] = []

    async def handler(request: Request) -> Answer:
        async def run(transport: asyncio.Transport, rest: bytes) -> None:
            got.append(rest)
            transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\nraw")

        assert request.upgrade
        return Takeover(run)

    async with serving(handler) as (_, port):
        peer = await Peer.connect(port)
        raw = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst"
        assert (await peer.ask(raw))[0] == "HTTP/1.1 101 Switching Protocols"
        async with asyncio.timeout(10):
            assert await peer.reader.read() == b"raw"
        assert got == [b"first"]


async def test_an_upgrade_that_is_not_taken_ends_the_connection() -> None:
    async with serving(echo) as (_, port):
        peer = await Peer.connect(port)
        raw = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        line, headers, _ = await peer.ask(raw)
        assert (line, headers["connection"]) == ("HTTP/1.1 200 OK", "close")


async def test_an_exchange_streams_and_tells_of_a_broken_answer() -> None:
    async def handler(request: Request) -> Answer:
        async def run(writer: BodyWriter) -> None:
            for number in range(100):
                writer.write(b"%05d" % number * 2000)
                if writer.congested:
                    await writer.drained()
            if request.target == b"/broken":
                writer.abort()

        return Streaming(200, HEAD, run)

    async with serving(handler) as (_, port), asyncio.timeout(10):
        headers = [(b"Host", b"x")]
        whole = await Exchange.send(("127.0.0.1", port), None, request_message("GET", "/whole", headers))
        body = b"".join([piece async for piece in whole.pieces()])
        assert body == b"".join(b"%05d" % number * 2000 for number in range(100))
        whole.close()
        broken = await Exchange.send(("127.0.0.1", port), None, request_message("GET", "/broken", headers))
        with pytest.raises(ExchangeFailed):
            async for _ in broken.pieces():
                pass


async def test_an_exchange_with_nobody_fails_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ExchangeFailed, match="connection refused"):
        await Exchange.send(("127.0.0.1", port), None, request_message("GET", "/", []))


async def test_a_relay_passes_everything_and_half_closes() -> None:
    """client -- relay -- server: the server answers only after the client's end."""

    async def reverse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])
        writer.close()

    class Waiting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            arrived.set_result(transport)

    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[asyncio.Transport] = loop.create_future()
    far = await asyncio.start_server(reverse, "127.0.0.1", 0)
    near = await loop.create_server(Waiting, "127.0.0.1", 0)
    async with far, near, asyncio.timeout(10):
        client = await Peer.connect(near.sockets[0].getsockname()[1])
        right, _ = await loop.create_connection(asyncio.Protocol, *far.sockets[0].getsockname())
        right.pause_reading()
        running = asyncio.create_task(relay(await arrived, right, b"hello ", b"first"))
        client.writer.write(b"x" * 1_000_000)
        client.writer.write_eof()
        assert await client.reader.read() == b"hello " + b"x" * 1_000_000 + b"tsrif"
        await running
