"""Reading and writing a process's streams on the event loop: several outputs and one input, as descriptors."""

from __future__ import annotations

import asyncio
import os

CHUNK = 1 << 16


class OutputStreams:
    """Reads from several descriptors as data comes; owns and closes them. Keys are stream numbers (1 or 2)."""

    def __init__(self, descriptors: dict[int, int]) -> None:
        self._open = dict(descriptors)
        for descriptor in descriptors.values():
            os.set_blocking(descriptor, False)

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output; None when every stream has ended."""
        while True:
            found = self.read_nowait()
            if found is not None or not self._open:
                return found
            await self._readable()

    def read_nowait(self) -> tuple[int, bytes] | None:
        """What is there already, or None."""
        for number, descriptor in tuple(self._open.items()):
            try:
                data = os.read(descriptor, CHUNK)
            except BlockingIOError:
                continue
            except OSError:  # EIO: the last process has left the terminal
                data = b""
            if data:
                return number, data
            del self._open[number]
            os.close(descriptor)
        return None

    async def _readable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        watched = tuple(self._open.values())
        for descriptor in watched:
            loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            for descriptor in watched:
                loop.remove_reader(descriptor)

    def close(self) -> None:
        """Closes what is open still."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


class InputStream:
    """Writes to a descriptor as fast as it takes data; owns and closes it. None takes and drops everything."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    async def write(self, data: bytes) -> None:
        """Returns when all is taken. What a reader that has gone away does not take is dropped."""
        rest = memoryview(data)
        while rest and self._descriptor is not None:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await self._writable(self._descriptor)
            except OSError:  # EPIPE, EIO: nobody reads any more
                return

    async def _writable(self, descriptor: int) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(descriptor)

    def close(self) -> None:
        """Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
