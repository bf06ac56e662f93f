"""Passes bytes between two connections in both directions, each side as fast as the other can take them."""

from __future__ import annotations

import asyncio


class _Side(asyncio.Protocol):
    """What one connection receives goes to the other; a full other side stops the reading on this one."""

    def __init__(self, transport: asyncio.Transport, ended: asyncio.Event) -> None:
        self.transport, self._ended = transport, ended
        self.other: _Side | None = None
        self._at_end = False

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Half-closes the other side where its transport can; TLS cannot, and ends as a whole. True keeps this side
        open."""
        self._at_end = True
        if self.other is None or not self.other.transport.can_write_eof():
            return False
        self.other.transport.write_eof()
        return not self.other._at_end

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Closes the other side after what is still on its way to it."""
        if self.other is not None:
            self.other.transport.close()
        self._ended.set()


async def relay(
    left: asyncio.Transport, right: asyncio.Transport, for_left: bytes = b"", for_right: bytes = b""
) -> None:
    """Relays until either side ends. Both transports come with reading paused and are closed at the end.

    ``for_left`` and ``for_right`` are sent before anything else."""
    ended = asyncio.Event()
    sides = _Side(left, ended), _Side(right, ended)
    sides[0].other, sides[1].other = sides[1], sides[0]
    for side, first in zip(sides, (for_left, for_right), strict=True):
        side.transport.set_protocol(side)
        if first:
            side.transport.write(first)
    try:
        for side in sides:
            if side.transport.is_closing():
                return
            side.transport.resume_reading()
        await ended.wait()
    finally:
        left.close()
        right.close()
