"""The kubelet: makes its parts and runs them together, until it is cancelled. Containers outlive it.

API  --pods of this node--> PodWorkers <--events-- runtime
 ^                             |
 +------ statuses, events -----+        NodeReporter: Node, Lease      housekeeping: images, logs, leftovers
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from podkeeper.api.core import v1
from podkeeper.api.pods import affinity
from podkeeper.client.api import Api
from podkeeper.client.informer import Informer, Lister
from podkeeper.client.reflector import Reflector, Selection
from podkeeper.foundation.cgroups import Cgroups
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.listening import first_connection, open_listener
from podkeeper.foundation.tls import server_tls
from podkeeper.kubelet.admission import NodeRoom
from podkeeper.kubelet.config import KubeletConfig
from podkeeper.kubelet.downward import NodeFacts
from podkeeper.kubelet.housekeeping import Housekeeper
from podkeeper.kubelet.image_puller import ImagePuller
from podkeeper.kubelet.machine import disk_space, read_machine
from podkeeper.kubelet.node import NodeReporter
from podkeeper.kubelet.node_status import allocatable
from podkeeper.kubelet.objects import PodObjects
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_cgroups import PodCgroups
from podkeeper.kubelet.pod_events import EventSink
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.tokens import TokenSource
from podkeeper.runtime.cri import RuntimeService
from podkeeper.runtime.cri_images import ImageService

log = logging.getLogger(__name__)


class Kubelet:
    """One node. ``run`` is called once; ``parts`` and ``workers`` are there while it runs."""

    parts: KubeletParts
    workers: PodWorkers

    def __init__(
        self,
        config: KubeletConfig,
        api: Api,
        runtime: RuntimeService,
        images: ImageService,
        cgroups: Cgroups,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self.config, self._api, self._runtime, self._images = config, api, runtime, images
        self._cgroups, self._events, self._clock = cgroups, events, clock

    async def run(self) -> None:
        """Runs the node until cancelled; cancellation leaves every container running."""
        config = self.config
        for directory in (config.root_dir, config.pods_dir, config.logs_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        async with asyncio.TaskGroup() as tasks:
            services = Informer(self._api.of(v1.Service), self._clock)
            self.parts = parts = self._make_parts(tasks, services)
            parts.cgroups.set_up_node()
            nodes = Informer(self._api.of(v1.Node), self._clock, self._own("metadata.name"))
            self.workers = workers = PodWorkers(parts, tasks, lambda: self._room(parts, nodes.lister))
            keeper = Housekeeper(parts, workers, lambda: reporter.nudge())
            reporter = NodeReporter(parts, read_machine(), keeper.pressures)
            tasks.create_task(self._follow_runtime(workers), name="runtime events")
            await workers.adopt()
            if config.serving is not None and config.client_ca is not None:
                listener = open_listener(config.address, config.port)
                pair = config.serving
                tls = server_tls(str(pair.certificate), str(pair.key), str(config.client_ca))
                serving = self._serve(listener, parts, workers, tls)
                tasks.create_task(serving, name="node server")
            tasks.create_task(reporter.report(), name="node status")
            tasks.create_task(reporter.renew_lease(), name="node lease")
            tasks.create_task(keeper.run(), name="housekeeping")
            tasks.create_task(nodes.run(), name="own node")
            tasks.create_task(services.run(), name="services")
            await services.wait_for_sync()  # their variables are in the first container's environment
            tasks.create_task(self._pods(workers).run(), name="pods")

    def _make_parts(self, tasks: asyncio.TaskGroup, services: Informer[v1.Service]) -> KubeletParts:
        config, machine = self.config, read_machine()
        objects = PodObjects.over(self._api, self._clock, tasks)
        room = allocatable(config, machine, disk_space(config.root_dir))
        return KubeletParts(
            config=config,
            api=self._api,
            runtime=self._runtime,
            images=self._images,
            puller=ImagePuller(self._images, objects, self._clock, config.max_parallel_image_pulls),
            cgroups=PodCgroups(self._cgroups, config.cgroup_root, config.pod_pids_limit),
            objects=objects,
            tokens=TokenSource(self._api, self._clock),
            events=self._events,
            clock=self._clock,
            node=NodeFacts(config.node_name, (config.node_ip,), room),
            services=services.lister.list,
            memory_capacity=machine.memory,
        )

    def _room(self, parts: KubeletParts, nodes: Lister[v1.Node]) -> NodeRoom:
        node = nodes.get("", self.config.node_name)
        return NodeRoom(
            parts.node.allocatable,
            node.spec.taints if node else (),
            affinity.node_facts(node) if node else None,
            self.config.allowed_unsafe_sysctls,
        )

    def _own(self, field: str) -> Selection:
        return Selection(field_selector=f"{field}={self.config.node_name}")

    def _pods(self, workers: PodWorkers) -> Reflector[v1.Pod]:
        return Reflector(self._api.of(v1.Pod), workers, self._clock, self._own("spec.nodeName"))

    async def _serve(
        self, listener: socket.socket, parts: KubeletParts, workers: PodWorkers, tls: ssl.SSLContext
    ) -> None:
        """Listens; what answers is loaded when somebody comes."""
        with listener:
            await first_connection(listener)
            from podkeeper.kubelet.server.server import NodeServer

            await NodeServer(parts, workers, tls).serve(listener)

    async def _follow_runtime(self, workers: PodWorkers) -> None:
        async for event in self._runtime.events():
            workers.runtime_event(event)
