"""exec and port-forward for older clients: SPDY/3.1 on the bare connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.core import v1
from podkeeper.kubelet.server import channels
from podkeeper.kubelet.server.server import NodeServer
from podkeeper.kubelet.server.spdy import Received, Session, SpdyError
from podkeeper.kubelet.server.spdy_channels import SpdyChannels
from podkeeper.testing.scripted_runtime import ExecResult

#: Heads of frames of every kind, with little or nothing behind them.
FRAMES = [
    bytes([0x80, 3, 0, kind, flags, 0, 0, length]) + b"\0" * length
    for kind in range(10)
    for flags in (0, 1)
    for length in (0, 4, 12)
]
Make = Callable[..., v1.Pod]


class Talk:
    """A client's end of an upgraded connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: Any) -> None:
        self._reader, self._writer, self.client = reader, writer, client
        self.head, self._session = "", Session()

    async def ask(self, path: str, version: str) -> None:
        lines = (f"POST {path} HTTP/1.1", "Host: n", "Connection: Upgrade", "Upgrade: SPDY/3.1", "Content-Length: 0")
        self._writer.write("\r\n".join([*lines, f"X-Stream-Protocol-Version: {version}", "", ""]).encode())
        self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode()

    def open(self, *kinds: str, **headers: str) -> None:
        for number, kind in enumerate(kinds):
            self._writer.write(self.client.open(2 * number + 1, {"streamtype": kind, **headers}))

    def send(self, stream: int, data: bytes, *, last: bool = False) -> None:
        self._writer.write(self.client.data(stream, data, last=last))

    async def rest(self) -> dict[int, bytes]:
        """What the server says on each stream until it closes."""
        seen: dict[int, bytes] = {}
        async with asyncio.timeout(5):
            while data := await self._reader.read(65536):
                for event in self._session.feed(data):
                    if isinstance(event, Received):
                        seen[event.stream] = seen.get(event.stream, b"") + event.data
        return seen

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def talk(node: Any, spdy_client: Any) -> AsyncIterator[Talk]:
    kubelet = node.kubelet
    server = NodeServer(kubelet.parts, kubelet.workers, None)
    runner = web.AppRunner(server.application(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made = Talk(*await asyncio.open_connection("127.0.0.1", runner.addresses[0][1]), spdy_client())
    yield made
    made.close()
    await runner.cleanup()


async def test_a_command_gives_its_output_and_its_exit_code(talk: Talk, node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    node.runtime.exec_script = lambda container, command: ExecResult(3, b"out", b"err")
    await talk.ask("/exec/default/web/app?command=x&output=1&error=1", "v4.channel.k8s.io, channel.k8s.io")
    assert talk.head.startswith("HTTP/1.1 101 ")
    assert "\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in talk.head
    talk.open("error", "stdout", "stderr")
    seen = await talk.rest()
    assert (seen[3], seen[5]) == (b"out", b"err")
    assert json.loads(seen[1])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_a_client_without_a_common_protocol_is_refused(talk: Talk, node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    await talk.ask("/exec/default/web/app?command=x&output=1", "v9.channel.k8s.io")
    assert talk.head.startswith("HTTP/1.1 403 ")


async def test_a_client_that_speaks_no_spdy_is_left(talk: Talk, node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    await talk.ask("/exec/default/web/app?command=x&output=1", "v4.channel.k8s.io")
    talk._writer.write(b"\xff" * 100)
    assert await talk.rest() == {}


async def test_the_end_of_stdin_ends_the_command(
    talk: Talk, node: Any, make_pod: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: asyncio.Queue[bytes | None] = asyncio.Queue()
    sizes: list[tuple[int, int]] = []

    class Cat:
        async def read(self) -> tuple[int, bytes] | None:
            data = await given.get()
            return None if data is None else (1, data)

        async def write(self, data: bytes) -> None:
            given.put_nowait(data)

        async def close_stdin(self) -> None:
            given.put_nowait(None)

        def resize(self, width: int, height: int) -> None:
            sizes.append((width, height))

        async def wait(self) -> int:
            return 0

        async def close(self) -> None:
            given.put_nowait(None)

    async def start(*_: Any, **__: Any) -> Cat:
        return Cat()

    monkeypatch.setattr(node.runtime, "exec", start)
    await node.run(make_pod())
    await talk.ask("/exec/default/web/app?command=cat&input=1&output=1&tty=1", "v4.channel.k8s.io")
    talk.open("error", "stdin", "stdout", "resize")
    talk.send(7, b'{"Width":80,"Hei')
    talk.send(7, b'ght":24}\n')
    talk.send(3, b"hello", last=True)
    seen = await talk.rest()
    assert seen[5] == b"hello"
    assert json.loads(seen[1])["status"] == "Success"
    assert sizes == [(80, 24)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.sampled_from(FRAMES), max_size=6))
def test_what_is_no_spdy_is_refused_and_nothing_else_happens(pieces: list[bytes]) -> None:
    found = SpdyChannels(frozenset({"error"}))
    with contextlib.suppress(SpdyError):
        for piece in pieces:
            messages, _ = found.feed(piece)
            for message in messages:
                channels.read_message(message, channels.V5)


def test_a_terminals_size_that_is_none_is_ignored(spdy_client: Any) -> None:
    found, client = SpdyChannels(frozenset()), spdy_client()
    found.feed(client.open(1, {"streamtype": "resize"}))
    assert found.feed(client.data(1, b"[" * 100_000))[0] == []
    for size in (b"[" * 5000, b'{"Width":1e999,"Height":1}', b'{"Width":"x","Height":1}', b"[]", b"1"):
        assert channels.read_message(channels.output(channels.RESIZE, size), channels.V4) is None


def test_nothing_begins_before_every_wanted_stream_is_open(spdy_client: Any) -> None:
    found, client = SpdyChannels(frozenset({"error", "stdin"})), spdy_client()
    assert found.feed(client.open(1, {"streamtype": "error"}))[0] == []
    assert not found.complete
    found.feed(client.open(3, {"streamtype": "stdin"}))
    assert found.complete
    assert found.feed(client.data(3, b"x", last=True))[0] == [b"\0x", bytes((channels.CLOSE, channels.STDIN))]
    assert found.send(channels.output(channels.STDOUT, b"nobody wants it")) == b""
