"""exec over a WebSocket: this terminal in raw mode, standard streams, window size and exit code.

Channels of v5.channel.k8s.io, one byte in front of each message: 0 stdin, 1 stdout, 2 stderr, 3 error (a Status),
4 resize, 255 close of a channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from podkeeper.client.rest import RestApi
from podkeeper.cluster.errors import ClusterError

if TYPE_CHECKING:
    import aiohttp

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOL = "v5.channel.k8s.io"


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What to run where."""

    namespace: str
    pod: str
    container: str
    command: tuple[str, ...]
    stdin: bool
    tty: bool

    def path(self) -> str:
        """The URL path with its query."""
        query: list[tuple[str, str]] = [("command", each) for each in self.command]
        query += [("stdout", "true"), ("stderr", "false" if self.tty else "true")]
        query += [("stdin", "true")] if self.stdin else []
        query += [("tty", "true")] if self.tty else []
        query += [("container", self.container)] if self.container else []
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/exec?{urlencode(query)}"


async def run_exec(api: RestApi, request: ExecRequest) -> int:
    """Runs the command and returns its exit code. Raises ApiError or ClusterError when it could not be run."""
    socket = await api.websocket(request.path(), (PROTOCOL,))
    with _raw_terminal(request.tty and request.stdin):
        try:
            async with asyncio.TaskGroup() as group:
                senders = [group.create_task(_send_stdin(socket))] if request.stdin else []
                senders += [group.create_task(_send_sizes(socket))] if request.tty else []
                status = await _copy_output(socket)
                for sender in senders:
                    sender.cancel()
        except ExceptionGroup as failed:  # whichever broke first: the connection, or a stream of ours
            raise failed.exceptions[0] from None
    return exit_code(status)


async def _copy_output(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Copies until the end, and returns the Status that came with it."""
    outputs = {STDOUT: sys.stdout.buffer, STDERR: sys.stderr.buffer}
    status: dict[str, Any] = {"message": "the connection broke before the command ended"}
    async for message in socket:
        data = message.data if isinstance(message.data, bytes) else b""
        if data and data[0] in outputs:
            stream = outputs[data[0]]
            stream.write(data[1:])
            stream.flush()
        elif data and data[0] == ERROR:
            status = json.loads(data[1:])
    return status


def exit_code(status: dict[str, Any]) -> int:
    """The exit code that the final Status tells. Raises ClusterError for a command that did not run."""
    if status.get("status") == "Success":
        return 0
    for cause in status.get("details", {}).get("causes", ()):
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ClusterError(f"the command could not be run: {status.get('message', 'no reason given')}")


async def _send_stdin(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Sends until the input ends, or the command: what it leaves unread is nobody's."""
    with _input() as queue, contextlib.suppress(ConnectionResetError):
        while data := await queue.get():
            await socket.send_bytes(bytes([STDIN]) + data)
        await socket.send_bytes(bytes([CLOSE, STDIN]))


@contextlib.contextmanager
def _input() -> Iterator[asyncio.Queue[bytes]]:
    """Standard input as a queue that ends with b''. A plain file cannot be waited for, so it is read at once."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def readable() -> None:
        data = os.read(0, 65536)
        if not data:
            loop.remove_reader(0)
        queue.put_nowait(data)

    try:
        loop.add_reader(0, readable)
    except PermissionError:
        queue.put_nowait(sys.stdin.buffer.read())
        queue.put_nowait(b"")
    try:
        yield queue
    finally:
        loop.remove_reader(0)


async def _send_sizes(socket: aiohttp.ClientWebSocketResponse) -> None:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while True:
            size = shutil.get_terminal_size()
            message = json.dumps({"Width": size.columns, "Height": size.lines}).encode()
            await socket.send_bytes(bytes([RESIZE]) + message)
            await changed.wait()
            changed.clear()
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


@contextlib.contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:
    if not (wanted and sys.stdin.isatty()):
        yield
        return
    saved = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
