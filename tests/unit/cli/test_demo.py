"""The demo's page, from a server that comes a moment later than its pod is Ready."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from podkeeper.cli.demo import PAUSES, title_of
from podkeeper.cluster.errors import ClusterError


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(b"<html><title>It works</title></html>")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def answering(port: int, started: list[HTTPServer]) -> Callable[[float], None]:
    """A wait in which the server begins to listen, the third time."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            started.append(HTTPServer(("127.0.0.1", port), Page))
            threading.Thread(target=started[0].serve_forever, daemon=True).start()

    return wait


def test_a_server_that_listens_late_is_waited_for() -> None:
    port, started = unused_port(), list[HTTPServer]()
    try:
        assert title_of(f"http://127.0.0.1:{port}/", answering(port, started)) == "It works"
        with pytest.raises(ClusterError, match="404"):
            title_of(f"http://127.0.0.1:{port}/missing", lambda _: pytest.fail("another error is no reason to wait"))
    finally:
        for server in started:
            server.shutdown()
            server.server_close()


def test_a_server_that_never_listens_is_told_of() -> None:
    waits: list[float] = []
    with pytest.raises(ClusterError, match=r"does not answer: .*refused"):
        title_of(f"http://127.0.0.1:{unused_port()}/", waits.append)
    assert tuple(waits) == PAUSES
