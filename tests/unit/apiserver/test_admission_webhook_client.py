"""Connections to webhooks: kept, bounded, and made anew when the webhook had closed one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from podkeeper.apiserver.webhooks.client import CallFailed, WebhookClient, refusal
from podkeeper.apiserver.webhooks.destinations import url_of
from podkeeper.client.pool import CONNECTIONS

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class NoServices:
    async def resolve(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        raise AssertionError("nobody asks for a Service here")


class Server:
    """Answers every request with ``{}``; how many connections it has had and has at most had at once."""

    def __init__(self) -> None:
        self.connections = self.open = self.most = self.requests = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.gate: asyncio.Event | None = None
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(length)
                self.requests += 1
                if self.gate is not None:
                    await self.gate.wait()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open -= 1
            writer.close()

    @property
    def client(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}/hook"}


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Server, WebhookClient]]:
    server, client = Server(), WebhookClient(NoServices())
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server, client
    finally:
        client.close()
        listening.close()
        await listening.wait_closed()


async def test_a_connection_is_used_again() -> None:
    async with running() as (server, client):
        for _ in range(5):
            assert await client.post(server.client, {}, 5) == {}
    assert (server.connections, server.requests) == (1, 5)


async def test_a_connection_that_was_closed_while_idle_is_made_anew() -> None:
    async with running() as (server, client):
        await client.post(server.client, {}, 5)
        server.writers[0].close()
        assert await client.post(server.client, {}, 5) == {}
    assert server.connections == 2


async def test_no_more_connections_than_allowed() -> None:
    async with running() as (server, client):
        server.gate = asyncio.Event()
        calls = [asyncio.ensure_future(client.post(server.client, {}, 20)) for _ in range(CONNECTIONS + 20)]
        while server.requests < CONNECTIONS:
            await asyncio.sleep(0)
        server.gate.set()
        await asyncio.gather(*calls)
    assert (server.most, server.requests) == (CONNECTIONS, CONNECTIONS + 20)


async def test_a_call_that_is_given_up_leaves_no_connection_behind() -> None:
    async with running() as (server, client):
        server.gate = asyncio.Event()
        with pytest.raises(CallFailed, match="context deadline exceeded"):
            await client.post(server.client, {}, 0.05)
        server.gate.set()
        server.gate = None
        assert await client.post(server.client, {}, 5) == {}
    assert server.connections == 2


async def test_what_is_no_json_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    client = WebhookClient(NoServices())
    with pytest.raises(CallFailed, match="json parse error"):
        await client.post({"url": f"http://127.0.0.1:{port}/"}, {}, 5)
    client.close()
    listening.close()


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, b"x", "the server rejected our request for an unknown reason"),
        (404, b"", "the server could not find the requested resource"),
        (500, b"", 'an error on the server ("unknown") has prevented the request from succeeding'),
        (502, b"bad", 'an error on the server ("bad") has prevented the request from succeeding'),
        (302, b"", "the server responded with the status code 302 but did not return more information"),
    ],
)
def test_refusals_in_words(status: int, body: bytes, text: str) -> None:
    assert refusal(status, body) == text


def test_the_url_of_a_service() -> None:
    assert url_of({"service": {"namespace": "n", "name": "s"}}) == "https://s.n.svc:443/"
    assert url_of({"service": {"namespace": "n", "name": "s", "port": 8443, "path": "/p"}}) == "https://s.n.svc:8443/p"
