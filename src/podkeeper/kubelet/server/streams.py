"""exec and attach over a WebSocket: a process's streams and the client's messages, until either side ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from aiohttp import WSMessage, WSMsgType, web
from msgspec import Struct

from podkeeper.kubelet.server import channels
from podkeeper.kubelet.waiting import first_of
from podkeeper.runtime.cri import Process
from podkeeper.runtime.failures import RuntimeFailure


class ChannelSocket(Protocol):
    """A WebSocket that speaks the channel protocol, or what behaves like one."""

    @property
    def ws_protocol(self) -> str | None:
        """Which version of it."""
        ...

    def __aiter__(self) -> AsyncIterator[WSMessage]: ...

    async def send_bytes(self, data: bytes) -> None: ...

    async def close(self) -> Any: ...


class StreamOptions(Struct, frozen=True):
    """Which streams the client wants. With ``tty`` there is no stderr of its own."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    @property
    def streams(self) -> frozenset[str]:
        """The streams that a client opens for these, where it has to open them."""
        wanted = {"error": True, "stdin": self.stdin, "stdout": self.stdout, "resize": self.tty}
        wanted["stderr"] = self.stderr and not self.tty
        return frozenset(name for name, set_ in wanted.items() if set_)

    @property
    def first_output(self) -> int:
        """The channel that tells the client that it is connected."""
        if self.stdout:
            return channels.STDOUT
        return channels.STDERR if self.stderr else channels.ERROR


def _frame(message: WSMessage) -> bytes | None:
    """A message's bytes. Text counts as binary, as upstream: the Python client sends what is a ``str`` as text."""
    match message.type, message.data:
        case WSMsgType.BINARY, bytes(data):
            return data
        case WSMsgType.TEXT, str(text):
            return text.encode()
    return None


class ProcessStreams:
    """One process, one client. ``run`` ends when the process has ended or the client is gone."""

    def __init__(self, socket: ChannelSocket, process: Process, options: StreamOptions) -> None:
        self._socket, self._process, self._options = socket, process, options

    async def run(self) -> None:
        """Relays both ways; the process is closed at the end whatever happens."""
        try:
            await self._socket.send_bytes(channels.output(self._options.first_output, b""))
            await first_of(self._serve_output(), self._serve_input())
        except ConnectionError:
            return  # the client is gone; there is nobody to tell
        finally:
            await self._process.close()

    async def _serve_output(self) -> None:
        wanted = {1: self._options.stdout, 2: self._options.stderr}
        while (piece := await self._process.read()) is not None:
            stream, data = piece
            if wanted.get(stream):
                await self._socket.send_bytes(channels.output(stream, data))
        try:
            status = channels.exit_status(await self._process.wait())
        except RuntimeFailure as error:
            status = channels.failure_status(str(error))
        await self._socket.send_bytes(status)
        await self._socket.close()

    async def _serve_input(self) -> None:
        protocol = self._socket.ws_protocol or channels.V4
        async for message in self._socket:
            if (frame := _frame(message)) is None:
                continue
            match channels.read_message(frame, protocol):
                case channels.Input(data) if self._options.stdin:
                    await self._process.write(data)
                case channels.InputClosed():
                    await self._process.close_stdin()
                case channels.Resized(width, height):
                    self._process.resize(width, height)


class PortForward:
    """TCP connections into a pod: two channels per port, data and error, each opened by the port's number."""

    def __init__(self, socket: web.WebSocketResponse, connections: list[tuple[int, Process]]) -> None:
        self._socket, self._connections = socket, connections

    async def run(self) -> None:
        """Relays until the client is gone."""
        try:
            for index, (port, _) in enumerate(self._connections):
                number = port.to_bytes(2, "little")
                await self._socket.send_bytes(channels.output(2 * index, number))
                await self._socket.send_bytes(channels.output(2 * index + 1, number))
            async with asyncio.TaskGroup() as group:
                outputs = [
                    group.create_task(self._serve_output(2 * index, process))
                    for index, (_, process) in enumerate(self._connections)
                ]
                await self._serve_input()
                for task in outputs:
                    task.cancel()
        finally:
            for _, process in self._connections:
                await process.close()

    async def _serve_output(self, channel: int, process: Process) -> None:
        try:
            while (piece := await process.read()) is not None:
                await self._socket.send_bytes(channels.output(channel, piece[1]))
        except ConnectionError:
            return  # the client is gone, which ends the input too

    async def _serve_input(self) -> None:
        async for message in self._socket:
            if (frame := _frame(message)) and frame[0] < 2 * len(self._connections):
                channel = frame[0]
                if channel % 2 == 0:
                    await self._connections[channel // 2][1].write(frame[1:])
