"""A server in a thread of its own, a client that sends any bytes, and examples that are the same each time.

``PODKEEPER_FUZZ_EXAMPLES=2000 pytest tests/fuzz`` looks further than CI does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from podkeeper.testing.api_server import TestServer, running_api_server

EXAMPLES = int(os.environ.get("PODKEEPER_FUZZ_EXAMPLES", "60"))
#: Seconds after which an answer that has not come counts as a hang.
PATIENCE = 10.0

settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES,
    derandomize="PODKEEPER_FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Reply:
    """What a request was answered; status 0 when the connection was closed without an answer."""

    status: int
    head: bytes
    body: bytes


class House:
    """The server, and one connection to it that is made anew when it ends."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self._tls = server.tls()
        self._tls.check_hostname = False
        self._connection: ssl.SSLSocket | None = None
        self._buffer = b""

    @property
    def revision(self) -> int:
        return self.server.store.revision

    def send(self, method: str, target: bytes, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Reply:
        """Sends one request as the admin, and reads its answer (of a stream, its head)."""
        lines = [b"%b %b HTTP/1.1" % (method.encode(), target), b"Host: fuzz"]
        lines += [b"Authorization: Bearer " + self.server.admin_token.encode()]
        lines += [b"%b: %b" % pair for pair in headers]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(b"Content-Length: %d" % len(body))
        return self.raw(b"\r\n".join(lines) + b"\r\n\r\n" + body, method)

    def raw(self, data: bytes, method: str = "GET") -> Reply:
        """Sends bytes and reads one answer."""
        for attempt in range(2):
            fresh = self._connection is None
            connection = self._connect()
            try:
                connection.sendall(data)
                return self._answer(connection, method)
            except (ConnectionError, ssl.SSLError, EOFError):
                self.close()
                if fresh or attempt:  # an old connection may have been closed since
                    return Reply(0, b"", b"")
        raise AssertionError

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._buffer = None, b""

    def _connect(self) -> ssl.SSLSocket:
        if self._connection is None:
            plain = socket.create_connection(("127.0.0.1", self.server.server.port), PATIENCE)
            self._connection = self._tls.wrap_socket(plain)
        return self._connection

    def _answer(self, connection: ssl.SSLSocket, method: str) -> Reply:
        head = self._until(connection, b"\r\n\r\n")
        status, lower = int(head.split(b" ", 2)[1]), head.lower()
        if status == 101 or b"transfer-encoding: chunked" in lower:
            self.close()  # a stream: its head says enough
            return Reply(status, head, b"")
        length = int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = b"" if method == "HEAD" else self._exactly(connection, length)
        if b"connection: close" in lower:
            self.close()
        return Reply(status, head, body)

    def _until(self, connection: ssl.SSLSocket, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more(connection)
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, connection: ssl.SSLSocket, length: int) -> bytes:
        while len(self._buffer) < length:
            self._more(connection)
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def _more(self, connection: ssl.SSLSocket) -> None:
        data = connection.recv(1 << 16)
        if not data:
            raise EOFError
        self._buffer += data


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server for the module. Fails at its end if it no longer answers."""
    started: Future[tuple[TestServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live(directory: Path) -> None:
        try:
            async with running_api_server(directory) as server:
                leave = asyncio.Event()
                started.set_result((server, asyncio.get_running_loop(), leave))
                await leave.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(live(tmp_path_factory.mktemp("fuzz")),))
    thread.start()
    server, loop, leave = started.result(60)
    made = House(server)
    try:
        account = b'{"metadata":{"name":"default"}}'
        made.send(
            "POST", b"/api/v1/namespaces/default/serviceaccounts", account, (b"Content-Type", b"application/json")
        )
        yield made
        made.close()
        assert made.send("GET", b"/readyz").status == 200
    finally:
        made.close()
        loop.call_soon_threadsafe(leave.set)
        thread.join(60)
