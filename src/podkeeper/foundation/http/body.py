"""The body of a streaming answer on its way into a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from podkeeper.foundation.http.messages import frame_chunk

if TYPE_CHECKING:
    from podkeeper.foundation.http.connection import Connection


class ConnectionBody:
    """Implements ``messages.BodyWriter`` for one answer."""

    __slots__ = ("_chunked", "_connection", "_transport")

    def __init__(self, connection: Connection, transport: asyncio.Transport, chunked: bool) -> None:
        self._connection, self._transport, self._chunked = connection, transport, chunked

    def write(self, data: bytes) -> None:
        if data:
            self._transport.write(frame_chunk(data) if self._chunked else data)

    @property
    def chunked(self) -> bool:
        return self._chunked

    def write_framed(self, chunks: bytes) -> None:
        self._transport.write(chunks)

    @property
    def congested(self) -> bool:
        return self._connection.congested

    async def drained(self) -> None:
        await self._connection.drained()

    def on_drained(self, call: Callable[[], None] | None) -> None:
        self._connection.set_on_drained(call)

    def abort(self) -> None:
        self._transport.abort()
