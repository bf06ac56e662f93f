"""A console socket: an OCI runtime makes a terminal inside the container and sends us the other end."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
from pathlib import Path


class ConsoleSocket:
    """Listens in ``directory``. The path goes through /proc, because a socket's may have 107 bytes at most."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "console"
        self._directory = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.path = f"/proc/{os.getpid()}/fd/{self._directory}/console"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(self.path)
        self._listener.listen(1)

    async def receive(self) -> int:
        """The terminal's descriptor, once the runtime has sent it; the caller closes it."""
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(self._listener)
        with connection:
            readable = asyncio.Event()
            loop.add_reader(connection, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(connection)
            _, messages, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("i")))
        for level, kind, data in messages:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                return array.array("i", data[: struct.calcsize("i")])[0]
        raise ConnectionError("the OCI runtime sent no terminal")

    def close(self) -> None:
        """Safe to call twice."""
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1


def set_size(terminal: int, width: int, height: int) -> None:
    """Sets a terminal's size in characters."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
