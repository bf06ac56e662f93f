"""A whole API server in this event loop, and what controllers need beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.api.resources import for_kind
from podkeeper.client.config import ClientConfig
from podkeeper.client.events import EventRecorder
from podkeeper.client.informer import Informer, InformerFactory
from podkeeper.client.rest import RestApi
from podkeeper.controllers.framework import Controller, Key, Tools, run_controller
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.testing.api_server import TestServer, running_api_server
from podkeeper.testing.fake_clock import FakeClock

T = TypeVar("T")
PATIENCE = 20.0


def built(tree: dict[str, Any]) -> Any:
    """The struct of a manifest."""
    group, _, version = tree["apiVersion"].rpartition("/")
    resource = for_kind(group, version, tree["kind"])
    assert resource is not None
    return codec.from_tree(codec.struct_class(resource), tree)


@dataclass
class House:
    """A server and the controllers that a test lets run."""

    server: TestServer
    api: RestApi
    informers: InformerFactory
    clock: FakeClock
    tasks: asyncio.TaskGroup
    running: list[asyncio.Task[None]]

    def tools(self, clock: Clock | None = None) -> Tools:
        """Tools with a clock that stands still, unless another is given."""
        clock = clock or self.clock
        return Tools(self.api, self.informers, clock, EventRecorder(self.api, "test", clock=clock))

    def start(self, make: Callable[[Tools], Controller]) -> Controller:
        """Runs a controller on the machine's clock until the test ends."""
        clock = SystemClock()
        controller = make(self.tools(clock))
        self.running.append(self.tasks.create_task(run_controller(controller, clock)))
        return controller

    async def create(self, tree: dict[str, Any]) -> Any:
        """Creates an object from a manifest, in namespace default unless it says otherwise."""
        obj = built(tree)
        resource = for_kind(*_group_version(tree), tree["kind"])
        assert resource is not None
        namespace = (obj.metadata.namespace or "default") if resource.namespaced else ""
        return await self.api.of(type(obj)).create(obj, namespace)

    async def until(self, kind: type[T], holds: Callable[[list[T]], Any]) -> list[T]:
        """Waits for changes of a kind until all its objects together are as wanted; returns them."""
        informer: Informer[T] = self.informers.informer(kind)
        changed = asyncio.Event()
        informer.add_handler(lambda old, new: changed.set())
        await informer.wait_for_sync()
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds(found := list(informer.lister)):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            raise AssertionError(f"never came to be; there is: {list(informer.lister)}") from None
        return found

    async def report(self, name: str, address: str = "10.0.0.1", *, ready: bool = True) -> None:
        """Writes the status of a pod in namespace default as its kubelet would."""
        condition = v1.PodCondition(type="Ready", status=str(ready), last_transition_time="2026-01-01T00:00:00Z")
        addresses = (v1.PodIP(ip=address),)
        status = v1.PodStatus(phase="Running", pod_ip=address, pod_ips=addresses, conditions=(condition,))
        pod = await self.api.of(v1.Pod).get(name, "default")
        await self.api.of(v1.Pod).update(msgspec.structs.replace(pod, status=status), subresource="status")

    async def settled(self, key: Key, controller: Controller, *kinds: type[Any]) -> float | None:
        """Lets local copies catch up with the server, then reconciles one key once."""
        for kind in kinds:
            informer = self.informers.informer(kind)
            await informer.wait_for_sync()
            there = {
                each.metadata.name: each.metadata.resource_version for each in (await self.api.of(kind).list()).items
            }

            def same(found: list[Any], there: dict[str, str] = there) -> bool:
                return {each.metadata.name: each.metadata.resource_version for each in found} == there

            await self.until(kind, same)
        return await controller.reconcile(key)


def _group_version(tree: dict[str, Any]) -> tuple[str, str]:
    group, _, version = tree["apiVersion"].rpartition("/")
    return group, version


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_api_server(tmp_path) as server:
        config = ClientConfig(server.url, ca=server.authority.pair.certificate.read_bytes(), token=server.admin_token)
        api = RestApi(config)
        informers = InformerFactory(api, SystemClock())
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(informers.run())
            made = House(server, api, informers, FakeClock(), tasks, [])
            try:
                yield made
            finally:
                for task in (*made.running, following):
                    task.cancel()
        await api.close()
