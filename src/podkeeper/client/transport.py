"""HTTP to one API server: keep-alive connections, TLS, credentials. The one module that knows the HTTP library."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from podkeeper.client.api import ConnectionFailed
from podkeeper.client.config import ClientConfig, ssl_context

if TYPE_CHECKING:
    import aiohttp

TOKEN_LIFETIME = 60.0  # seconds after which a token file is read again, as client-go does
READ_BUFFER = 1 << 18
CONNECTIONS = 100
KEEP_ALIVE = 90.0

Answer = tuple[int, Mapping[str, str], bytes]


class Transport:
    """Requests in, answers out; every failure to get one is a ConnectionFailed. Opens connections when first used."""

    def __init__(self, config: ClientConfig, user_agent: str, timeout: float) -> None:
        self._config, self._timeout = config, timeout
        self._headers = {"User-Agent": user_agent}
        if config.token:
            self._headers["Authorization"] = f"Bearer {config.token}"
        self._token_read = float("-inf")
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Transport to {self._config.server}>"

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """One exchange with the whole answer read. ``path`` carries its query, encoded."""
        with self._failures(method, path):
            async with asyncio.timeout(self._timeout), self._send(method, path, headers, body) as response:
                answer = response.status, response.headers, await response.read()
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """An exchange whose answer is read as it comes; leaving the context ends it. No timeout once it has begun."""
        with self._failures(method, path):
            async with asyncio.timeout(self._timeout):
                response = await self._send(method, path, headers, None)
        async with aclosing(self._chunks(response, method, path)) as chunks:
            try:
                yield response.status, response.headers, chunks
            finally:
                # The rest of the stream is not wanted: the connection cannot be used again.
                response.close()

    async def websocket(self, path: str, protocols: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket to ``path``, for exec, attach and port-forward."""
        with self._failures("GET", path):
            socket = await self._open_session().ws_connect(
                self._url(path), protocols=protocols, headers=self._authorized({}), max_msg_size=0
            )
        return socket

    async def close(self) -> None:
        """Closes every connection. Safe to call twice."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        return self._open_session().request(
            method, self._url(path), headers=self._authorized(headers), data=body, allow_redirects=False
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ConnectionFailed("the client was closed")
        if self._session is None:
            # Costs 150 ms and 20 MB: only who talks to a server pays.
            import aiohttp

            context = ssl_context(self._config)
            connector = aiohttp.TCPConnector(
                ssl=context if context is not None else True, limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
                read_bufsize=READ_BUFFER,
            )
        return self._session

    def _url(self, path: str) -> Any:
        from yarl import URL

        return URL(self._config.server + path, encoded=True)

    def _authorized(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """With the present content of the token file, if there is one."""
        path = self._config.token_file
        if path is not None and (now := time.monotonic()) - self._token_read > TOKEN_LIFETIME:
            self._headers["Authorization"] = f"Bearer {path.read_text().strip()}"
            self._token_read = now
        return {**headers, "Authorization": self._headers["Authorization"]} if path is not None else headers

    async def _chunks(self, response: aiohttp.ClientResponse, method: str, path: str) -> AsyncGenerator[bytes, None]:
        with self._failures(method, path):
            async for chunk in response.content.iter_any():
                yield chunk

    @contextmanager
    def _failures(self, method: str, path: str) -> Iterator[None]:
        """Raises ConnectionFailed for what the network may do; programming errors stay what they are."""
        import aiohttp

        try:
            yield
        except TimeoutError as error:
            what = f"{method} {path}: no answer from {self._config.server} within {self._timeout:g} s"
            raise ConnectionFailed(what) from error
        except (aiohttp.ClientError, OSError) as error:
            why = str(error) or type(error).__name__
            raise ConnectionFailed(f"{method} {path}: {self._config.server}: {why}") from error
