"""TCP connections into a sandbox: a socket belongs to the network namespace it was made in, wherever it is used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor

from podkeeper.foundation import syscalls
from podkeeper.runtime.failures import RuntimeFailure

_CHUNK = 1 << 16


class ForwardedConnection:
    """A connection to a port of a sandbox; see the Process Protocol. Output is stream 1."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._ended = connection, asyncio.Event()

    async def read(self) -> tuple[int, bytes] | None:
        """See the Protocol."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self._connection, _CHUNK)
        except OSError:  # reset by the other side
            data = b""
        if not data:
            self._ended.set()
        return (1, data) if data else None

    async def write(self, data: bytes) -> None:
        """See the Protocol."""
        with contextlib.suppress(OSError):  # the other side has closed
            await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def close_stdin(self) -> None:
        """See the Protocol."""
        with contextlib.suppress(OSError):  # not connected any more
            self._connection.shutdown(socket.SHUT_WR)

    def resize(self, width: int, height: int) -> None:
        """A connection has no size."""

    async def wait(self) -> int:
        """Waits until the other side has closed; 0."""
        await self._ended.wait()
        return 0

    async def close(self) -> None:
        """See the Protocol."""
        self._ended.set()
        self._connection.close()


async def connect(infra_pid: int, port: int) -> ForwardedConnection:
    """Connects to localhost:``port`` as seen by a process; IPv4 first, then IPv6. RuntimeFailure."""
    fault: OSError | None = None
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        connection = None
        try:
            connection = await _socket_in(infra_pid, family)
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except OSError as error:
            fault = fault or error
            if connection is not None:
                connection.close()
        else:
            return ForwardedConnection(connection)
    raise RuntimeFailure(f"cannot connect to localhost:{port} inside the sandbox: {fault}") from fault


async def _socket_in(pid: int, family: socket.AddressFamily) -> socket.socket:
    """Made by a thread of its own that enters the namespace and then ends: no other thread ever changes its own."""
    with ThreadPoolExecutor(1, "enter-network") as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, _enter_and_open, pid, family)


def _enter_and_open(pid: int, family: socket.AddressFamily) -> socket.socket:
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.enter_namespace(namespace, syscalls.CLONE_NEWNET)
    finally:
        os.close(namespace)
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    return connection
