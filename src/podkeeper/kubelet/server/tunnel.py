"""kubectl port-forward: SPDY in the messages of a WebSocket, two streams for each connection to a port of the pod.

    client opens stream "error" --+-- same requestid --> connect to the port in the pod --> relay until both sides ended
    client opens stream "data"  --+                          | cannot: the reason goes down the error stream

https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from aiohttp import WSMessage, WSMsgType
from msgspec import Struct, field

from podkeeper.kubelet.server import spdy
from podkeeper.kubelet.waiting import first_of
from podkeeper.runtime.cri import Process
from podkeeper.runtime.failures import RuntimeFailure

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
WAITING_PIECES = 64

Connect = Callable[[int], Awaitable[Process]]


class ByteSocket(Protocol):
    """A WebSocket whose binary messages are a stream of bytes, or what behaves like one."""

    def __aiter__(self) -> AsyncIterator[WSMessage]: ...

    async def send_bytes(self, data: bytes) -> None: ...

    async def close(self) -> Any: ...


class _Connection(Struct):
    """One connection into the pod: its streams, what the client sent and nobody took yet, and whether it gave up."""

    data: int
    error: int
    input: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(WAITING_PIECES))
    given_up: asyncio.Event = field(default_factory=asyncio.Event)


class Tunnel:
    """One client's connections. ``connect`` opens one to a port inside the pod, or raises RuntimeFailure."""

    def __init__(self, socket: ByteSocket, connect: Connect) -> None:
        self._socket, self._connect, self._session = socket, connect, spdy.Session()
        self._errors: dict[str, int] = {}
        self._connections: dict[int, _Connection] = {}

    async def run(self) -> None:
        """Relays until the client is gone or speaks something else."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._read(group)
                for connection in self._connections.values():
                    connection.given_up.set()
        except* (ConnectionError, spdy.SpdyError):
            await self._socket.close()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                continue
            for event in self._session.feed(message.data):
                await self._take(event, group)

    async def _take(self, event: spdy.Event, group: asyncio.TaskGroup) -> None:
        match event:
            case spdy.Opened(stream, headers):
                await self._open(stream, headers, group)
            case spdy.Received(stream, data, last) if stream in self._connections:
                connection = self._connections[stream]
                if data:
                    await self._feed(connection, data)
                if last:
                    await self._feed(connection, None)
            case spdy.Reset(stream) if stream in self._connections:
                self._connections[stream].given_up.set()
            case spdy.Pinged(number) if number % 2:
                await self._socket.send_bytes(self._session.ping(number))

    async def _feed(self, connection: _Connection, data: bytes | None) -> None:
        """Hands input over; what nobody will take any more is dropped."""
        await first_of(connection.input.put(data), connection.given_up.wait())

    async def _open(self, stream: int, headers: spdy.Headers, group: asyncio.TaskGroup) -> None:
        request, port = headers.get("requestid", ""), headers.get("port", "")
        await self._socket.send_bytes(self._session.reply(stream))
        if headers.get("streamtype") == "error":
            self._errors[request] = stream
        elif not port.isdecimal() or not 0 < int(port) < 65536 or request not in self._errors:
            await self._socket.send_bytes(self._session.reset(stream))
        else:
            connection = self._connections[stream] = _Connection(stream, self._errors.pop(request))
            group.create_task(self._forward(connection, int(port)), name=f"forward port {port}")

    async def _forward(self, connection: _Connection, port: int) -> None:
        """One connection from its beginning to its end."""
        reason = b""
        try:
            process = await self._connect(port)
            try:
                await first_of(self._relay(connection, process), connection.given_up.wait())
            finally:
                await process.close()
        except RuntimeFailure as error:
            reason = f"error forwarding port {port} to pod: {error}".encode()
        finally:
            connection.given_up.set()
            del self._connections[connection.data]
        await self._socket.send_bytes(self._session.data(connection.error, reason, last=True))
        await self._socket.send_bytes(self._session.data(connection.data, b"", last=True))

    async def _relay(self, connection: _Connection, process: Process) -> None:
        """Until the pod has said its last; the client's last word alone does not end it."""
        taking = asyncio.ensure_future(self._relay_input(connection, process))
        try:
            while (piece := await process.read()) is not None:
                await self._socket.send_bytes(self._session.data(connection.data, piece[1]))
        finally:
            taking.cancel()
            await asyncio.wait((taking,))

    async def _relay_input(self, connection: _Connection, process: Process) -> None:
        while (data := await connection.input.get()) is not None:
            await process.write(data)
        await process.close_stdin()
