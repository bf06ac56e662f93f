"""What a node must look at from time to time because nothing announces it: sizes of logs, free memory and disk.

Every ten seconds: a stat per running container's log, two reads for the node. The rest only when something is short.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from podkeeper.foundation.cgroups import CgroupError
from podkeeper.foundation.trees import tree_usage
from podkeeper.kubelet.eviction import (
    Consumer,
    LocalStorage,
    Shortage,
    choose_victim,
    disk_shortage,
    has_storage_limits,
    memory_shortage,
    pressure_verdict,
    storage_verdict,
)
from podkeeper.kubelet.image_gc import ImageCollector
from podkeeper.kubelet.log_rotation import LogRotator
from podkeeper.kubelet.machine import disk_space, meminfo
from podkeeper.kubelet.node_status import Pressures
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_worker import PodPhase, PodWorker
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.volumes.plugin import volumes_dir
from podkeeper.runtime.failures import NotFound, RuntimeFailure

log = logging.getLogger(__name__)

INTERVAL = 10.0
IMAGES_EVERY = 30  # rounds
TRANSITION = 300.0


class Housekeeper:
    """Looks after one node. ``on_pressure`` is called when a pressure begins or ends."""

    def __init__(self, parts: KubeletParts, workers: PodWorkers, on_pressure: Callable[[], None]) -> None:
        self._parts, self._workers, self._on_pressure = parts, workers, on_pressure
        config = parts.config
        self._rotator = LogRotator(parts.runtime, config.container_log_max_size, config.container_log_max_files)
        self._collector = ImageCollector(parts.images)
        self._seen: dict[str, float] = {}

    def pressures(self) -> Pressures:
        """What the node is short of, or was within the last five minutes."""
        since = self._parts.clock.time() - TRANSITION
        return Pressures(
            memory=self._seen.get("memory", 0.0) > since, disk=self._seen.get("ephemeral-storage", 0.0) > since
        )

    async def run(self) -> None:
        """Looks around until cancelled."""
        rounds = 0
        while True:
            await self._parts.clock.sleep(INTERVAL)
            rounds += 1
            try:
                await self._rotate_logs()
                await self._watch_storage()
                await self._relieve()
                if rounds % IMAGES_EVERY == 0:
                    await self._collect_images()
            except (RuntimeFailure, CgroupError, OSError) as error:
                log.warning("housekeeping: %s", error)

    def _running(self) -> Sequence[PodWorker]:
        return [each for each in self._workers if each.phase is PodPhase.SYNCING]

    async def _rotate_logs(self) -> None:
        for worker in self._running():
            for container in worker.runtime.running():
                path = Path(container.log_path)
                if container.log_path and self._rotator.is_due(path):
                    await self._rotator.rotate(container.id, path, self._parts.clock.time())

    async def _collect_images(self) -> None:
        used = {each.image_id for worker in self._workers for each in worker.runtime.containers}
        freed = await self._collector.collect(used, disk_space(self._parts.config.root_dir), self._parts.clock.time())
        if freed:
            log.info("removed unused images of %d bytes", freed)

    # -- eviction ---------------------------------------------------------------------------------------------

    async def _relieve(self) -> None:
        """Notes shortages and evicts one pod at most; images go before pods."""
        config, before = self._parts.config, self.pressures()
        memory = memory_shortage(meminfo().get("MemAvailable", 0), config.eviction_memory_available)
        disk = self._disk_shortage()
        if disk is not None:
            await self._collect_images()
            disk = self._disk_shortage()
        for shortage in (memory, disk):
            if shortage is not None:
                self._seen[shortage.resource] = self._parts.clock.time()
        if self.pressures() != before:
            self._on_pressure()
        if memory is not None:
            self._evict_for(memory, [Consumer(each.pod, self._memory_of(each)) for each in self._running()])
        elif disk is not None:
            sizes = [Consumer(each.pod, sum(await self._disk_use(each))) for each in self._running()]
            self._evict_for(disk, sizes)

    def _disk_shortage(self) -> Shortage | None:
        space = disk_space(self._parts.config.root_dir)
        return disk_shortage(space.available, space.capacity, self._parts.config.eviction_nodefs_available)

    def _memory_of(self, worker: PodWorker) -> int:
        return self._parts.cgroups.usage(worker.pod).memory_working_set

    def _evict_for(self, shortage: Shortage, consumers: Sequence[Consumer]) -> None:
        victim = choose_victim(consumers, shortage)
        worker = self._workers.worker(victim.pod.metadata.uid) if victim is not None else None
        if victim is not None and worker is not None:
            worker.evict(pressure_verdict(victim, shortage), 1.0)

    async def _watch_storage(self) -> None:
        """Evicts pods that hold more on disk than their own limits allow; others are not measured."""
        for worker in self._running():
            if not has_storage_limits(worker.pod):
                continue
            verdict = storage_verdict(worker.pod, await self._local_storage(worker))
            if verdict is not None:
                worker.evict(verdict, 1.0)

    async def _disk_use(self, worker: PodWorker) -> tuple[int, int]:
        storage = await self._local_storage(worker)
        return sum(storage.volumes.values()), sum(storage.containers.values())

    async def _local_storage(self, worker: PodWorker) -> LocalStorage:
        root = volumes_dir(self._parts.config.pods_dir, worker.uid) / "kubernetes.io~empty-dir"
        volumes = {
            volume.name: await asyncio.to_thread(_size, root / volume.name)
            for volume in worker.pod.spec.volumes
            if volume.empty_dir is not None and not volume.empty_dir.medium
        }
        containers: dict[str, int] = {}
        for container in worker.runtime.running():
            try:
                usage = await self._parts.runtime.container_usage(container.id)
            except NotFound:
                continue  # it ended while we asked
            logs = await asyncio.to_thread(_size, Path(container.log_path).parent) if container.log_path else 0
            containers[container.name] = usage.rootfs_bytes + logs
        return LocalStorage(volumes, containers)


def _size(root: Path) -> int:
    """Bytes on disk below a directory; what vanishes meanwhile counts nothing."""
    return tree_usage(root)[0]
