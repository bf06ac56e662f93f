"""One API server per test module, all controllers where a module asks for ``cluster``, and namespaces to work in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import pytest
import pytest_asyncio

from podkeeper.client.config import ClientConfig
from podkeeper.client.informer import InformerFactory
from podkeeper.client.rest import RestApi
from podkeeper.controllers.manager import ControllerManager, ControllersConfig
from podkeeper.foundation.clock import SystemClock
from podkeeper.testing.api_server import running_api_server
from podkeeper.testing.raw_client import RawClient
from podkeeper.testing.review_server import ReviewServer, running_review_server

Namespaces = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    """A client of a server that nothing else talks to."""
    async with running_api_server(tmp_path_factory.mktemp("conformance")) as server:
        yield RawClient(server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(api: RawClient) -> AsyncIterator[RawClient]:
    """The same client, with all controllers at work. No node and no scheduler: pods stay as they are made."""
    server, clock = api.server, SystemClock()
    certificate = server.authority.pair.certificate.read_bytes()
    rest = RestApi(ClientConfig(server.url, ca=certificate, token=server.admin_token))
    informers = InformerFactory(rest, clock)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(informers.run())]
        await informers.wait_for_sync()
        manager = ControllerManager(ControllersConfig(certificate.decode()), rest, informers, clock)
        running.append(tasks.create_task(manager.run()))
        yield api
        for task in running:
            task.cancel()
    await rest.close()


@pytest_asyncio.fixture(loop_scope="module")
async def namespace(api: RawClient) -> Namespaces:
    """Makes namespaces with a service account ``default``; returns their name. ``namespace(label="value")``."""

    async def make(**labels: str) -> str:
        name = f"conformance-{next(_NUMBERS)}"
        made = await api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        assert made.status == 201, made.body
        account = await api("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        assert account.status in (201, 409), account.body
        return name

    return make


_NUMBERS = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hooks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReviewServer]:
    """A server that answers reviews."""
    async with running_review_server(tmp_path_factory.mktemp("hooks")) as server:
        yield server
