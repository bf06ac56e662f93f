"""All controllers together: the list of what runs, in one place, over shared informers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from podkeeper.client.api import Api
from podkeeper.client.events import EventRecorder
from podkeeper.client.informer import InformerFactory
from podkeeper.controllers.deployment import Deployments
from podkeeper.controllers.framework import Controller, Tools, run_controller
from podkeeper.controllers.garbage_collector import GarbageCollector
from podkeeper.controllers.namespaces import Namespaces
from podkeeper.controllers.node_lifecycle import NodeLifecycle
from podkeeper.controllers.pod_gc import PodGarbage
from podkeeper.controllers.replica_set import ReplicaSets
from podkeeper.controllers.root_ca import RootCertificates
from podkeeper.controllers.service_accounts import ServiceAccounts
from podkeeper.controllers.taint_eviction import TaintEviction
from podkeeper.foundation.clock import Clock


@dataclass(frozen=True, slots=True)
class ControllersConfig:
    """``root_certificate`` is the PEM certificate that pods verify the API server with."""

    root_certificate: str


def default_controllers(config: ControllersConfig, tools: Tools) -> Sequence[Controller]:
    """Every controller there is."""
    return (
        Namespaces(tools),
        ServiceAccounts(tools),
        RootCertificates(tools, config.root_certificate),
        NodeLifecycle(tools),
        TaintEviction(tools),
        PodGarbage(tools),
        ReplicaSets(tools),
        Deployments(tools),
        GarbageCollector(tools),
    )


class ControllerManager:
    """Runs the controllers until cancelled. The informers are run by whoever made them."""

    def __init__(self, config: ControllersConfig, api: Api, informers: InformerFactory, clock: Clock) -> None:
        recorder = EventRecorder(api, "controllermanager", clock=clock)
        self._tools = Tools(api, informers, clock, recorder)
        self.controllers = default_controllers(config, self._tools)

    async def run(self) -> None:
        """One task a controller."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tools.recorder.run(), name="events")
            for controller in self.controllers:
                tasks.create_task(run_controller(controller, self._tools.clock), name=controller.name)
