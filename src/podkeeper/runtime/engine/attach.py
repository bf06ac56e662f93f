"""The streams of a container's own process, through its monitor's socket.

conmon speaks packets: what it sends begins with the stream (2 stdout, 3 stderr), what it gets is stdin as it is.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from podkeeper.runtime.engine import monitor
from podkeeper.runtime.engine.containers import Container
from podkeeper.runtime.failures import RuntimeFailure

_STREAMS = {2: 1, 3: 2}
_LARGEST_PACKET = 1 << 16
_LARGEST_INPUT = 8192


class AttachedProcess:
    """An attached container; see the Process Protocol. Closing it leaves the container running."""

    def __init__(self, container: Container, bundle: Path, connection: socket.socket) -> None:
        self._container, self._bundle, self._connection = container, bundle, connection

    async def read(self) -> tuple[int, bytes] | None:
        """See the Protocol."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                packet = await loop.sock_recv(self._connection, _LARGEST_PACKET)
            except OSError:  # the monitor is gone
                return None
            if not packet:
                return None
            if packet[0] in _STREAMS and len(packet) > 1:
                return _STREAMS[packet[0]], packet[1:]

    async def write(self, data: bytes) -> None:
        """See the Protocol."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), _LARGEST_INPUT):
            try:
                await loop.sock_sendall(self._connection, data[start : start + _LARGEST_INPUT])
            except OSError:  # the monitor is gone, or stdin was closed
                return

    async def close_stdin(self) -> None:
        """See the Protocol. A container whose stdin outlives its clients is let go, as containerd does: a client whose
        input has ended would otherwise never get away from it."""
        config = self._container.record.config
        try:
            self._connection.shutdown(socket.SHUT_WR if config.stdin_once and not config.tty else socket.SHUT_RDWR)
        except OSError:
            return

    def resize(self, width: int, height: int) -> None:
        """See the Protocol."""
        if self._container.record.config.tty:
            monitor.resize(self._bundle, width, height)

    async def wait(self) -> int:
        """See the Protocol."""
        return 0

    async def close(self) -> None:
        """See the Protocol."""
        self._connection.close()


async def connect(container: Container, bundle: Path) -> AttachedProcess:
    """Attaches. RuntimeFailure when the container does not run."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setblocking(False)
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{directory}/attach")
    except OSError as error:
        connection.close()
        name = container.record.config.name
        raise RuntimeFailure(f"cannot attach to container {name}: it does not run ({error.strerror})") from error
    finally:
        os.close(directory)
    return AttachedProcess(container, bundle, connection)
