"""HTTP to one API server: requests with credentials in, answers out, over kept-alive connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from podkeeper.client.api import ConnectionFailed
from podkeeper.client.config import ClientConfig, ssl_context
from podkeeper.client.connection import HttpConnection
from podkeeper.client.failures import from_answer
from podkeeper.client.pool import ConnectionPool
from podkeeper.client.request_figures import RequestFigures

if TYPE_CHECKING:
    import aiohttp

TOKEN_LIFETIME = 60.0  # seconds after which a token file is read again, as client-go does

Answer = tuple[int, Mapping[str, str], bytes]


class Transport:
    """Every failure to get an answer is a ConnectionFailed. Opens connections when they are first needed."""

    def __init__(self, config: ClientConfig, user_agent: str, timeout: float) -> None:
        parts = urlsplit(config.server)
        self._config, self._timeout, self._agent = config, timeout, user_agent
        self._prefix, self._host = parts.path.rstrip("/"), parts.netloc
        self._token, self._token_read = config.token, float("-inf")
        self._pool: ConnectionPool | None = None
        self._websockets: aiohttp.ClientSession | None = None
        self._closed = False
        self.figures = RequestFigures(parts.netloc)

    def __repr__(self) -> str:
        return f"<Transport to {self._config.server}>"

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """One exchange with the whole answer read. ``path`` carries its query, encoded."""
        request, started = self._compose(method, path, headers, body), time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    answer = await self._exchange(request, fresh=False)
                except _Stale:
                    # The server closed an idle connection while the request was on its way: it was not read.
                    if method != "GET":
                        raise
                    answer = await self._exchange(request, fresh=True)
        except (ConnectionFailed, TimeoutError) as error:
            self.figures.note(method, 0, time.perf_counter() - started)
            raise self._failed(method, path, error) from error
        self.figures.note(method, answer[0], time.perf_counter() - started)
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """An exchange whose answer is read as it comes; leaving the context ends it. No timeout once it has begun."""
        request, pool, started = self._compose(method, path, headers, None), self._open_pool(), time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                connection = await pool.acquire(unlimited=True, fresh=True)
                try:
                    await connection.begin(request)
                except BaseException:
                    pool.release(connection, unlimited=True)
                    raise
        except (ConnectionFailed, TimeoutError) as error:
            self.figures.note(method, 0, time.perf_counter() - started)
            raise self._failed(method, path, error) from error
        self.figures.note(method, connection.status, time.perf_counter() - started)
        try:
            yield connection.status, connection.headers, self._chunks(connection, method, path)
        finally:
            # One that was not read to its end is not usable, and closed.
            pool.release(connection, unlimited=True)

    async def websocket(self, path: str, protocols: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket to ``path``, for exec, attach and port-forward. Raises ApiError when the server refuses it."""
        # Costs a third of a second and 14 MB: only these few pay.
        import aiohttp

        if self._websockets is None:
            self._websockets = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=ssl_context(self._config) or True),
                headers={"User-Agent": self._agent},
            )
        headers = {"Authorization": f"Bearer {token}"} if (token := self._current_token()) else {}
        try:
            return await self._websockets.ws_connect(
                self._config.server + path,
                protocols=protocols,
                headers=headers,
                max_msg_size=0,
                server_hostname=self._config.server_name or None,
            )
        except aiohttp.WSServerHandshakeError as error:
            # The handshake's answer is lost with its body; the same request without an upgrade says why.
            code, answer, body = await self.request("GET", path, {"Accept": "application/json"}, None)
            raise from_answer(code, answer, body) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed("GET", path, error) from error

    async def close(self) -> None:
        """Closes every connection; requests under way fail. Safe to call twice."""
        self._closed = True
        if self._pool is not None:
            self._pool.close()
        if self._websockets is not None:
            await self._websockets.close()
            self._websockets = None

    async def _exchange(self, request: bytes, *, fresh: bool) -> Answer:
        pool = self._open_pool()
        connection = await pool.acquire(fresh=fresh)
        used_before = connection.idle_since > 0
        try:
            body = await connection.exchange(request)
            return connection.status, connection.headers, body
        except ConnectionFailed as error:
            if used_before and not connection.answered:
                raise _Stale(*error.args) from error
            raise
        finally:
            pool.release(connection)

    async def _chunks(self, connection: HttpConnection, method: str, path: str) -> AsyncIterator[bytes]:
        try:
            while chunk := await connection.read():
                yield chunk
        except ConnectionFailed as error:
            raise self._failed(method, path, error) from error

    def _open_pool(self) -> ConnectionPool:
        if self._closed:
            raise ConnectionFailed("the client was closed")
        if self._pool is None:
            self._pool = ConnectionPool(self._config.server, ssl_context(self._config), self._config.server_name)
        return self._pool

    def _compose(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        """The request as it goes over the wire. Raises ValueError for what must not go there."""
        if method == "HEAD":
            raise ValueError("HEAD is not supported: its answer announces a body that does not come")
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"Host: {self._host}", f"User-Agent: {self._agent}"]
        if token := self._current_token():
            lines.append(f"Authorization: Bearer {token}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None or method not in ("GET", "DELETE"):
            lines.append(f"Content-Length: {len(body or b'')}")
        text = "\r\n".join(lines)
        if text.count("\r\n") != len(lines) - 1 or text.count("\n") != len(lines) - 1:
            raise ValueError(f"a request line or header has a line break in it: {method} {path!r}")
        return text.encode("latin-1") + b"\r\n\r\n" + (body or b"")

    def _current_token(self) -> str:
        """The token, read again from its file when a minute has passed: tokens rotate."""
        path = self._config.token_file
        if path is not None and (now := time.monotonic()) - self._token_read > TOKEN_LIFETIME:
            self._token, self._token_read = path.read_text().strip(), now
        return self._token

    def _failed(self, method: str, path: str, error: Exception) -> ConnectionFailed:
        why = (
            f"no answer within {self._timeout:g} s"
            if isinstance(error, TimeoutError)
            else error or type(error).__name__
        )
        return ConnectionFailed(f"{method} {path}: {self._config.server}: {why}")


class _Stale(ConnectionFailed):
    """A connection that was kept alive turned out to be gone before anything of an answer came."""
