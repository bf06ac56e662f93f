"""Connections to one server, kept alive and used again, the most recently used first."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from urllib.parse import urlsplit

from podkeeper.client.api import ConnectionFailed
from podkeeper.client.connection import HttpConnection

CONNECTIONS = 100  # at most so many at once, streams not counted
IDLE_SECONDS = 90.0  # servers close idle connections, so an old one may be gone when the request arrives
CONNECT_SECONDS = 10.0
# A peer that vanished is noticed within a minute, also on a watch that is silent.
PROBE_IDLE, PROBE_INTERVAL, PROBES = 30, 10, 3


class ConnectionPool:
    """Hands out idle connections and makes new ones. Every connection taken is given back or closed."""

    def __init__(self, server: str, tls: ssl.SSLContext | None, server_name: str = "") -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname or "", parts.port or (443 if tls else 80)
        self._tls, self._server_name = tls, server_name or self._host
        self._idle: list[HttpConnection] = []
        self._in_use: set[HttpConnection] = set()
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._closed = False

    def __repr__(self) -> str:
        return f"<ConnectionPool {self._host}:{self._port} idle={len(self._idle)} in use={len(self._in_use)}>"

    async def acquire(self, *, fresh: bool = False, unlimited: bool = False) -> HttpConnection:
        """A connection for one exchange; ``fresh`` makes a new one. Raises ConnectionFailed.

        Streams are ``unlimited``: they hold theirs for long.
        """
        if self._closed:
            raise ConnectionFailed("the client was closed")
        if not unlimited:
            await self._slots.acquire()
        try:
            connection = None if fresh else self._take_idle()
            connection = connection or await self._connect()
        except BaseException:
            if not unlimited:
                self._slots.release()
            raise
        self._in_use.add(connection)
        return connection

    def release(self, connection: HttpConnection, *, unlimited: bool = False) -> None:
        """Takes a connection back, for another exchange if it can have one."""
        self._in_use.discard(connection)
        if not unlimited:
            self._slots.release()
        if self._closed or not connection.usable:
            connection.close()
        else:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)

    def close(self) -> None:
        """Closes every connection; exchanges under way fail."""
        self._closed = True
        for connection in [*self._idle, *self._in_use]:
            connection.close()
        self._idle.clear()

    def _take_idle(self) -> HttpConnection | None:
        oldest = time.monotonic() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, connection = await loop.create_connection(
                    HttpConnection,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._server_name if self._tls else None,
                )
        except TimeoutError as error:
            raise ConnectionFailed(f"no connection within {CONNECT_SECONDS:g} s") from error
        except OSError as error:
            raise ConnectionFailed(str(error)) from error
        _probe(transport)
        return connection


def _probe(transport: asyncio.Transport) -> None:
    found = transport.get_extra_info("socket")
    # Not every socket has them all: a Unix socket in tests, say.
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_IDLE)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_INTERVAL)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
