"""Controllers whose API server goes away and comes back: what was asked for in between is done, nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from podkeeper.api import codec
from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.client.config import ClientConfig
from podkeeper.client.informer import InformerFactory
from podkeeper.client.rest import RestApi
from podkeeper.controllers.manager import ControllerManager, ControllersConfig
from podkeeper.foundation.clock import SystemClock
from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.api_server import running_api_server

if TYPE_CHECKING:
    from podkeeper.testing.api_server import TestServer

LIVES = 3


def deployment(name: str, replicas: int) -> apps.Deployment:
    template: dict[str, Any] = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "a", "image": "i"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    tree = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"}}
    return codec.from_tree(apps.Deployment, tree | {"spec": spec})


def config_of(server: TestServer) -> ClientConfig:
    return ClientConfig(server.url, ca=server.authority.pair.certificate.read_bytes(), token=server.admin_token)


async def until_updated(api: RestApi, asked: dict[str, int]) -> None:
    """Follows deployments until each has as many pods of its template as were asked for."""
    client = api.of(apps.Deployment)
    listed = await client.list("default")
    found = {each.metadata.name: each.status.updated_replicas or 0 for each in listed.items}
    async with asyncio.timeout(20):
        if found == asked:
            return
        async for event in client.watch("default", resource_version=listed.resource_version):
            if event.object is not None:
                found[event.object.metadata.name] = event.object.status.updated_replicas or 0
            if found == asked:
                return


async def test_what_was_asked_before_and_after_a_servers_end_is_done(tmp_path: Path) -> None:
    store, port, asked = MemoryStore(), 0, dict[str, int]()
    running: list[asyncio.Task[None]] = []
    controllers: RestApi | None = None
    async with asyncio.TaskGroup() as tasks:
        for life in range(LIVES):
            async with running_api_server(tmp_path, store=store, port=port) as server:
                port = urlsplit(server.url).port or 0
                api = RestApi(config_of(server))
                if controllers is None:
                    controllers = RestApi(config_of(server), name="controllers")
                    informers = InformerFactory(controllers, SystemClock())
                    manager = ControllerManager(ControllersConfig("PEM"), controllers, informers, SystemClock())
                    running = [tasks.create_task(informers.run()), tasks.create_task(manager.run())]
                await until_updated(api, asked)
                asked[f"web-{life}"] = 2
                await api.of(apps.Deployment).create(deployment(f"web-{life}", 2))
                await until_updated(api, asked)
                # Left half done: the server ends while the controllers are at it.
                for name in asked:
                    asked[name] += 1
                    await api.of(apps.Deployment).patch(name, {"spec": {"replicas": asked[name]}}, "default")
                await api.close()
        async with running_api_server(tmp_path, store=store, port=port) as server:
            api = RestApi(config_of(server))
            await until_updated(api, asked)
            pods = (await api.of(v1.Pod).list("default")).items
            assert len([each for each in pods if not each.metadata.deletion_timestamp]) == sum(asked.values())
            await api.close()
            for task in running:
                task.cancel()
            await asyncio.wait(running)
    if controllers is not None:
        await controllers.close()
    await store.close()
