"""One API server per test module, over a memory store, and a client that sends one request per connection."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.foundation.http.client import Exchange, request_message
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.testing.api_server import TestServer, running_api_server


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def tree(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.tree["message"])


class Client:
    """Requests to a test server; as the admin unless another token or certificate is given."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.token = server.admin_token
        self._contexts: dict[KeyPair | None, ssl.SSLContext] = {}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        pair: KeyPair | None = None,
        **headers: str,
    ) -> Reply:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = {"host": "test", "connection": "close", "accept": "application/json"}
        if data:
            lines["content-type"] = "application/json"
        secret = self.token if token is None else token
        if secret and pair is None:
            lines["authorization"] = f"Bearer {secret}"
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        message = request_message(method, path, [(k.encode(), v.encode()) for k, v in lines.items()], data)
        exchange = await Exchange.send(("127.0.0.1", self.server.server.port), self._tls(pair), message)
        parts = [piece async for piece in exchange.pieces()]
        exchange.close()
        names = {name.decode(): value.decode() for name, value in exchange.headers}
        return Reply(exchange.status, names, b"".join(parts))

    async def first_line(self, path: str) -> Any:
        """The first thing that a watch says, which is closed then."""
        lines = [(b"host", b"test"), (b"authorization", f"Bearer {self.token}".encode())]
        address = ("127.0.0.1", self.server.server.port)
        exchange = await Exchange.send(address, self._tls(None), request_message("GET", path, lines))
        said = b""
        async for piece in exchange.pieces():
            said += piece
            if b"\n" in said:
                break
        exchange.close()
        return json.loads(said.partition(b"\n")[0])

    def _tls(self, pair: KeyPair | None) -> ssl.SSLContext:
        context = self._contexts.get(pair)
        if context is None:
            context = self._contexts[pair] = self.server.tls(pair)
            context.check_hostname = False
        return context


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    directory: Path = tmp_path_factory.mktemp("apiserver")
    async with running_api_server(directory) as server:
        client = Client(server)
        for namespace in ("default",):
            await client("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        yield client


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "example/app:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers} | spec}


@pytest.fixture
def make_config_map() -> Any:
    return config_map


@pytest.fixture
def make_pod() -> Any:
    return pod


@pytest.fixture(scope="session")
def make_client() -> type[Client]:
    """Clients for servers that a test starts by itself."""
    return Client
