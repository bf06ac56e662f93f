"""The listening side: sockets, TLS, limits, and an orderly stop.

Cancelling ``serve`` stops listening and cancels what is being answered; ``stop`` lets answers end first.
"""

from __future__ import annotations

import asyncio
import email.utils
import socket
import ssl
import time

from msgspec import Struct

from podkeeper.foundation.http.connection import Connection
from podkeeper.foundation.http.messages import Handler
from podkeeper.foundation.late_verification import LateVerification


class Limits(Struct, frozen=True):
    """Bytes of a request's head and body, and lines in its head. Seconds: between requests, for a TLS handshake, and
    from a request's first byte until its head and until all of it is there."""

    head: int = 1 << 20
    lines: int = 1000
    body: int = 3 << 20
    idle_timeout: float = 180.0
    head_timeout: float = 32.0
    request_timeout: float = 60.0
    handshake_timeout: float = 15.0


class HttpServer:
    """Hands each request to ``handler``, which must answer and never raise; one connection, one request at a time."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self.handler, self.limits = handler, limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.stopping = False
        self._connections: set[Connection] = set()
        self._group: asyncio.TaskGroup | None = None
        self._emptied = asyncio.Event()
        self._date = (0, b"")
        #: Where clients may have certificates, what they are worth; None where wrong ones end the handshake.
        self.verification: LateVerification | None = None

    async def serve(self, listener: socket.socket, tls: ssl.SSLContext | None, ready: asyncio.Event) -> None:
        """Accepts connections on ``listener`` until cancelled; sets ``ready`` when the first could be accepted."""
        timeout = self.limits.handshake_timeout if tls else None
        if tls is not None and tls.verify_mode is ssl.CERT_OPTIONAL:
            self.verification = LateVerification.of(tls)
        async with asyncio.TaskGroup() as self._group:
            server = await self.loop.create_server(
                lambda: Connection(self), sock=listener, ssl=tls, backlog=1024, ssl_handshake_timeout=timeout
            )
            try:
                ready.set()
                await self.loop.create_future()
            finally:
                server.close()
                for connection in tuple(self._connections):
                    connection.close()

    async def stop(self, patience: float) -> None:
        """Closes idle connections, lets the others end their answer for ``patience`` seconds, then closes them too."""
        self.stopping = True
        for connection in tuple(self._connections):
            if connection.idle:
                connection.close()
        self._emptied.clear()
        if self._connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), patience)
            except TimeoutError:
                for connection in tuple(self._connections):
                    connection.close()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def adopt(self, connection: Connection) -> asyncio.Task[None] | None:
        """Gives a new connection its task."""
        if self._group is None or self.stopping:
            connection.close()
            return None
        self._connections.add(connection)
        return self._group.create_task(connection.serve())

    def forget(self, connection: Connection) -> None:
        """The connection has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def date_line(self) -> bytes:
        """The Date header, made once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, f"Date: {email.utils.formatdate(now, usegmt=True)}\r\n".encode())
        return self._date[1]
