"""Connections that are kept, lost, cut and refused: the transport against a server that speaks bytes from a script."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from podkeeper.client import pool as pool_module
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.config import ClientConfig
from podkeeper.client.connection import STREAM_BUFFER, Headers
from podkeeper.client.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class ByteServer:
    """Answers the n-th request of the n-th connection with bytes; None closes the connection instead."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.connections = 0
        self.requests: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[ByteServer]:
    scripted = ByteServer()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    async with asyncio.timeout(20):
        yield scripted
    listening.close()
    for writer in scripted.writers:
        writer.close()
    for task in scripted.tasks:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def transport(server: ByteServer) -> AsyncIterator[Transport]:
    made = Transport(ClientConfig(f"http://127.0.0.1:{server.port}/prefix/"), "tester/1", 5.0)
    yield made
    await made.close()


async def get(transport: Transport, path: str = "/x", **headers: str) -> tuple[int, Any, bytes]:
    return await transport.request("GET", path, headers, None)


async def test_the_request_as_it_goes_over_the_wire(server: ByteServer, transport: Transport) -> None:
    await transport.request("POST", "/pods?a=b", {"Accept": "application/json"}, b"{}")
    await get(transport)
    await transport.request("POST", "/pods", {}, None)
    port = str(server.port).encode()
    assert server.requests[0] == (
        b"POST /prefix/pods?a=b HTTP/1.1\r\nHost: 127.0.0.1:" + port + b"\r\nUser-Agent: tester/1\r\n"
        b"Accept: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert b"Content-Length" not in server.requests[1]
    assert b"Content-Length: 0" in server.requests[2]


async def test_one_connection_serves_one_request_after_the_other(server: ByteServer, transport: Transport) -> None:
    for _ in range(5):
        status, headers, body = await get(transport)
        assert (status, headers["CONTENT-length"], body) == (200, "2", b"ok")
    assert server.connections == 1
    await asyncio.gather(*(get(transport) for _ in range(3)))
    assert server.connections == 3


async def test_a_server_that_wants_to_close_is_left(server: ByteServer, transport: Transport) -> None:
    server.answers = [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"]
    await get(transport)
    assert (await get(transport))[2] == b"ok"
    assert server.connections == 2


async def test_interim_answers_are_passed_over(server: ByteServer, transport: Transport) -> None:
    server.answers = [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK]
    status, headers, body = await get(transport)
    assert (status, dict(headers), body) == (200, {"content-length": "2"}, b"ok")
    assert (await get(transport))[0] == 200


@pytest.mark.parametrize("bodiless", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n"])
async def test_answers_without_a_body(server: ByteServer, transport: Transport, bodiless: bytes) -> None:
    server.answers = [bodiless]
    assert (await get(transport))[2] == b""
    assert (await get(transport))[2] == b"ok"
    assert server.connections == 1


async def test_a_read_on_a_connection_that_was_just_closed_is_sent_again(
    server: ByteServer, transport: Transport
) -> None:
    await get(transport)
    server.answers = [None]
    assert (await get(transport))[2] == b"ok"
    assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_write_is_never_sent_twice(server: ByteServer, transport: Transport) -> None:
    await get(transport)
    server.answers = [None]
    with pytest.raises(ConnectionFailed):
        await transport.request("POST", "/pods", {}, b"{}")
    assert len(server.requests) == 2


async def test_a_read_that_was_half_answered_is_not_sent_again(server: ByteServer, transport: Transport) -> None:
    await get(transport)
    server.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"]
    reading = asyncio.ensure_future(get(transport))
    while len(server.requests) < 2:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    server.writers[0].close()
    with pytest.raises(ConnectionFailed):
        await reading
    assert len(server.requests) == 2


async def test_a_connection_closed_while_idle_is_not_used(server: ByteServer, transport: Transport) -> None:
    await get(transport)
    server.writers[0].close()
    await server.writers[0].wait_closed()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (await transport.request("POST", "/pods", {}, b"{}"))[0] == 200
    assert server.connections == 2


async def test_a_connection_idle_for_long_is_not_used(
    server: ByteServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    await get(transport)
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", -1.0)
    await get(transport)
    assert server.connections == 2


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_what_is_not_http(server: ByteServer, transport: Transport, nonsense: bytes) -> None:
    server.answers = [nonsense]
    with pytest.raises(ConnectionFailed, match="not HTTP"):
        await get(transport)
    assert (await get(transport))[0] == 200


async def test_an_answer_to_nothing_ends_the_connection(server: ByteServer, transport: Transport) -> None:
    server.answers = [OK + OK]
    await get(transport)
    assert (await get(transport))[2] == b"ok"
    assert server.connections == 2


async def test_a_cancelled_request_does_not_leave_its_answer_to_the_next(
    server: ByteServer, transport: Transport
) -> None:
    server.answers = [b""]
    waiting = asyncio.ensure_future(get(transport))
    while not server.requests:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await get(transport))[2] == b"ok"
    assert server.connections == 2


async def test_connections_are_bounded(server: ByteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "CONNECTIONS", 3)
    transport = Transport(ClientConfig(f"http://127.0.0.1:{server.port}"), "tester/1", 5.0)
    answers = await asyncio.gather(*(get(transport) for _ in range(20)))
    assert [status for status, _, _ in answers] == [200] * 20
    assert server.connections == 3
    await transport.close()


async def test_failures_give_their_slot_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "CONNECTIONS", 1)
    transport = Transport(ClientConfig("http://127.0.0.1:1"), "tester/1", 5.0)
    for _ in range(3):
        with pytest.raises(ConnectionFailed, match="Connect call failed"):
            await get(transport)
    await transport.close()


async def test_closing_fails_what_is_under_way(server: ByteServer, transport: Transport) -> None:
    server.answers = [b""]
    waiting = asyncio.ensure_future(get(transport))
    while not server.requests:
        await asyncio.sleep(0)
    await transport.close()
    with pytest.raises(ConnectionFailed):
        await waiting


@pytest.mark.parametrize("smuggle", [lambda: ("/x HTTP/1.1\r\nEvil: 1", {}), lambda: ("/x", {"Accept": "a\nEvil: 1"})])
async def test_line_breaks_do_not_become_headers(
    transport: Transport, smuggle: Callable[[], tuple[str, dict[str, str]]]
) -> None:
    path, headers = smuggle()
    with pytest.raises(ValueError, match="line break"):
        await transport.request("GET", path, headers, None)


class TestStreams:
    HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def test_chunks_come_as_they_arrive(self, server: ByteServer, transport: Transport) -> None:
        server.answers = [self.HEAD + b"5\r\nhello\r\n"]
        async with transport.stream("GET", "/x", {}) as (status, headers, chunks):
            assert (status, headers["transfer-encoding"]) == (200, "chunked")
            assert await anext(chunks) == b"hello"
            server.writers[0].write(b"5\r\nworld\r\n0\r\n\r\n")
            assert [chunk async for chunk in chunks] == [b"world"]

    async def test_a_cut_stream_fails_after_what_arrived(self, server: ByteServer, transport: Transport) -> None:
        server.answers = [self.HEAD + b"5\r\nhello\r\n"]
        async with transport.stream("GET", "/x", {}) as (_, _, chunks):
            assert await anext(chunks) == b"hello"
            server.writers[0].close()
            with pytest.raises(ConnectionFailed, match="GET /x"):
                await anext(chunks)

    async def test_a_slow_reader_holds_the_server_up(self, server: ByteServer, transport: Transport) -> None:
        size, count = 1 << 16, 400  # 26 MB, far more than any socket buffer
        server.answers = [self.HEAD]
        async with transport.stream("GET", "/x", {}) as (_, _, chunks):
            writer, sent = server.writers[0], 0

            async def send() -> None:
                nonlocal sent
                for _ in range(count):
                    writer.write(b"%x\r\n" % size + b"x" * size + b"\r\n")
                    await writer.drain()
                    sent += 1
                writer.write(b"0\r\n\r\n")

            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(send())
                before = -1
                while sent > before:  # until nothing moves any more
                    before = sent
                    for _ in range(50):
                        await asyncio.sleep(0)
                assert not sending.done()
                assert sent * size < STREAM_BUFFER + (20 << 20)
                received = sum([len(chunk) async for chunk in chunks])
        assert received == size * count

    async def test_a_finished_stream_gives_its_connection_back(self, server: ByteServer, transport: Transport) -> None:
        server.answers = [self.HEAD + b"0\r\n\r\n"]
        async with transport.stream("GET", "/x", {}) as (_, _, chunks):
            assert [chunk async for chunk in chunks] == []
        await get(transport)
        assert server.connections == 1

    async def test_streams_do_not_use_up_the_connections(
        self, server: ByteServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool_module, "CONNECTIONS", 1)
        transport = Transport(ClientConfig(f"http://127.0.0.1:{server.port}"), "tester/1", 5.0)
        server.answers = [self.HEAD, self.HEAD]
        async with transport.stream("GET", "/a", {}), transport.stream("GET", "/b", {}):
            assert (await get(transport))[2] == b"ok"
        await transport.close()


def test_header_names_have_no_case() -> None:
    headers = Headers({"retry-after": "3"})
    assert headers["Retry-After"] == headers.get("RETRY-AFTER") == "3"
    assert headers.get("Age") is None
    assert (list(headers), len(headers), "Retry-After" in headers) == (["retry-after"], 1, True)


async def test_a_client_costs_no_http_library() -> None:
    """The controllers' and the scheduler's processes live from what they do not import."""
    imports = ", ".join(f"podkeeper.client.{name}" for name in ("rest", "informer", "events", "leader"))
    code = (
        f"import sys, {imports}; print([name for name in ('aiohttp', 'yaml', 'cryptography') if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b"[]\n"
