"""One API server per test module, over a memory store, and a client that sends one request per connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.testing.api_server import running_api_server
from podkeeper.testing.raw_client import RawClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    directory: Path = tmp_path_factory.mktemp("apiserver")
    async with running_api_server(directory) as server:
        client = RawClient(server)
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
def make_client() -> type[RawClient]:
    """Clients for servers that a test starts by itself."""
    return RawClient
