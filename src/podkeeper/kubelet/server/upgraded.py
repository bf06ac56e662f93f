"""A connection that has left HTTP for SPDY/3.1: bytes in and out, with the face of a WebSocket for its users.

request --101--> open --peer ends, or close--> closed
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from podkeeper.kubelet.server import channels
from podkeeper.kubelet.server.spdy import SpdyError
from podkeeper.kubelet.server.spdy_channels import SpdyChannels

PROTOCOL, VERSION = "SPDY/3.1", "X-Stream-Protocol-Version"
#: Pieces that may wait before we stop reading.
WAITING_PIECES = 64
STREAMS_WITHIN = 30.0


def chosen_version(request: web.Request, offered: tuple[str, ...]) -> str:
    """The first version that both sides speak. 403 when there is none; the first of ours when none is named."""
    lines = request.headers.getall(VERSION, [])
    wanted = [each.strip() for line in lines for each in line.split(",")]
    if not wanted:
        return offered[0]
    found = next((each for each in offered if each in wanted), "")
    if not found:
        ours, theirs = " ".join(offered), " ".join(wanted)
        text = f"unable to upgrade: unable to negotiate protocol: client supports [{theirs}], server accepts [{ours}]"
        raise web.HTTPForbidden(text=text)
    return found


class Upgraded(web.StreamResponse):
    """What a handler returns when its answer has been given already, on the bare connection."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Nothing is left to send."""
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing is left to send."""


class RawConnection(asyncio.Protocol):
    """The bare connection, from the 101 on. Iterating gives what comes as binary messages."""

    def __init__(self, request: web.Request, version: str) -> None:
        """Answers 101 and takes the connection over."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._transport, self._before = transport, transport.get_protocol()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._ended = asyncio.Event()
        lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {PROTOCOL}")
        self._transport.set_protocol(self)
        self._transport.write("\r\n".join([*lines, f"{VERSION}: {version}", "", ""]).encode())

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[WSMessage]:
        while (piece := await self.read()) is not None:
            yield WSMessage(WSMsgType.BINARY, piece, None)

    async def read(self) -> bytes | None:
        """The next bytes; None when there are no more."""
        piece = await self._pieces.get()
        if self._pieces.qsize() == WAITING_PIECES // 2:
            self._transport.resume_reading()
        return piece

    async def send_bytes(self, data: bytes) -> None:
        """Raises ConnectionResetError when the client has gone."""
        if self._ended.is_set():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        await self._may_write.wait()

    async def close(self) -> None:
        """Ends the connection after what is on its way."""
        self._transport.close()
        await self._ended.wait()

    # what asyncio calls

    def data_received(self, data: bytes) -> None:
        self._pieces.put_nowait(data)
        if self._pieces.qsize() > WAITING_PIECES:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._pieces.put_nowait(None)
        self._may_write.set()
        self._ended.set()
        self._before.connection_lost(error)


class ChannelConnection:
    """A SPDY connection as a WebSocket that speaks the channel protocol."""

    ws_protocol = channels.V5

    def __init__(self, raw: RawConnection, wanted: frozenset[str]) -> None:
        self._raw, self._channels = raw, SpdyChannels(wanted)
        self._early: list[bytes] = []

    async def opened(self) -> bool:
        """Whether the client has opened the streams that it needs, in time and in SPDY."""
        try:
            async with asyncio.timeout(STREAMS_WITHIN):
                while not self._channels.complete:
                    data = await self._raw.read()
                    if data is None:
                        return False
                    self._early += await self._take(data)
        except (TimeoutError, SpdyError):
            return False
        return True

    async def _take(self, data: bytes) -> list[bytes]:
        messages, answers = self._channels.feed(data)
        if answers:
            await self._raw.send_bytes(answers)
        return messages

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        early, self._early = self._early, []
        for message in early:
            yield WSMessage(WSMsgType.BINARY, message, None)
        while (data := await self._raw.read()) is not None:
            try:
                messages = await self._take(data)
            except SpdyError:
                return
            for message in messages:
                yield WSMessage(WSMsgType.BINARY, message, None)

    async def send_bytes(self, message: bytes) -> None:
        """Sends a channel message."""
        data = self._channels.send(message)
        if data:
            await self._raw.send_bytes(data)

    async def close(self) -> None:
        """Ends the output and then the connection."""
        await self._raw.send_bytes(self._channels.finish())
        await self._raw.close()
