"""The embedded container engine: RuntimeService over sandboxes and containers, ImageService over the image store.

open --> serves --close--> containers run on, the next open takes them up again
                \\-reset--> nothing is left
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any

from podkeeper.foundation.cgroups import CgroupError
from podkeeper.runtime import pause
from podkeeper.runtime.cri import (
    ContainerConfig,
    ContainerStatus,
    ExecResult,
    Process,
    Resources,
    RuntimeEvent,
    RuntimeInfo,
    SandboxConfig,
    SandboxStatus,
    Usage,
)
from podkeeper.runtime.cri_images import ImageStatus, PullCredentials
from podkeeper.runtime.engine import attach, exec, forwarding, monitor, recovery, sweep
from podkeeper.runtime.engine.config import EngineConfig, Images
from podkeeper.runtime.engine.containers import Containers
from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.oci_choice import CANDIDATES, Ground
from podkeeper.runtime.engine.oci_runtimes import OciRuntimes
from podkeeper.runtime.engine.sandboxes import Sandboxes
from podkeeper.runtime.engine.tools import Tools
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.podnetwork import PodNetwork

VERSION = "0.1.0"


@contextlib.contextmanager
def _told(attempt: str) -> Iterator[None]:
    """What the kernel refuses becomes the one kind of error that callers know."""
    try:
        yield
    except (CgroupError, OSError) as error:
        raise RuntimeFailure(f"cannot {attempt}: {error}") from error


class Engine:
    """See the RuntimeService and ImageService Protocols. Made by ``open`` in a running event loop."""

    def __init__(self, tools: Tools, network: PodNetwork | None, images: Images, lock: int) -> None:
        self._tools, self._images, self._lock = tools, images, lock
        self._network_ready = network is not None
        self._sandboxes = Sandboxes(tools, network)
        self._containers = Containers(tools, images, self._sandboxes)

    def __repr__(self) -> str:
        sandboxes, containers = len(list(self._sandboxes)), len(list(self._containers))
        return f"Engine({self._tools.config.root}, {sandboxes} sandboxes, {containers} containers)"

    @classmethod
    async def open(cls, config: EngineConfig, network: PodNetwork | None, images: Images) -> Engine:
        """Opens the directory, chooses an OCI runtime and takes up what runs. RuntimeFailure tells what is missing."""
        directories = Directories(config.root.absolute())
        directories.create()
        lock = sweep.lock(directories)
        try:
            with _told(f"open the engine in {config.root}"):
                return await cls._open(config, directories, network, images, lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    async def _open(
        cls, config: EngineConfig, directories: Directories, network: PodNetwork | None, images: Images, lock: int
    ) -> Engine:
        pause.install(directories.pause)
        ground = Ground.prepare(directories, config.cgroup)
        runtimes = await OciRuntimes.open(ground, (config.oci_runtime,) if config.oci_runtime else CANDIDATES)
        engine = cls(Tools(config, directories, ground.layout, ground.cgroups, runtimes), network, images, lock)
        await recovery.recover(engine._tools, images, engine._sandboxes, engine._containers)
        return engine

    async def close(self) -> None:
        """Lets go; sandboxes and containers run on. Safe to call twice."""
        self._sandboxes.release()
        self._containers.release()
        self._tools.events.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def reset(self) -> None:
        """Removes every sandbox and container, then everything else of this engine's directory."""
        for sandbox in self._sandboxes:
            await self.remove_sandbox(sandbox.record.id)
        await self.close()
        await sweep.sweep(self._tools.directories.root)

    # Sandboxes.

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """See the Protocol."""
        with _told(f"run the sandbox of pod {config.namespace}/{config.name}"):
            return await self._sandboxes.run(config)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """See the Protocol."""
        with _told(f"stop sandbox {sandbox_id}"):
            await self._each_container(sandbox_id, lambda container_id: self._containers.stop(container_id, 0))
            await self._sandboxes.stop(sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """See the Protocol."""
        await self.stop_sandbox(sandbox_id)
        with _told(f"remove sandbox {sandbox_id}"):
            await self._each_container(sandbox_id, self._containers.remove)
            await self._sandboxes.remove(sandbox_id)

    async def _each_container(self, sandbox_id: str, action: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        """All at once; the first fault is raised after the last one has ended."""
        actions = [action(each.record.id) for each in self._containers.of_sandbox(sandbox_id)]
        faults = [each for each in await asyncio.gather(*actions, return_exceptions=True) if each is not None]
        if faults:
            raise faults[0]

    async def sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        """See the Protocol."""
        return self._sandboxes.status(self._sandboxes.get(sandbox_id))

    async def list_sandboxes(self) -> Sequence[SandboxStatus]:
        """See the Protocol."""
        return [self._sandboxes.status(sandbox) for sandbox in self._sandboxes]

    # Containers.

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """See the Protocol."""
        with _told(f"create container {config.name}"):
            return await self._containers.create(sandbox_id, config)

    async def start_container(self, container_id: str) -> None:
        """See the Protocol."""
        with _told(f"start container {container_id}"):
            await self._containers.start(container_id)

    async def stop_container(self, container_id: str, timeout: float) -> None:
        """See the Protocol."""
        with _told(f"stop container {container_id}"):
            await self._containers.stop(container_id, timeout)

    async def remove_container(self, container_id: str) -> None:
        """See the Protocol."""
        with _told(f"remove container {container_id}"):
            await self._containers.remove(container_id)

    async def container_status(self, container_id: str) -> ContainerStatus:
        """See the Protocol."""
        return self._containers.status(self._containers.get(container_id))

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """See the Protocol."""
        found = self._containers.of_sandbox(sandbox_id) if sandbox_id else list(self._containers)
        return [self._containers.status(container) for container in found]

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """See the Protocol."""
        with _told(f"update container {container_id}"):
            self._containers.update(container_id, resources)

    # Processes inside.

    def _exec_request(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> exec.ExecRequest:
        container = self._containers.get(container_id)
        runtime = self._tools.runtimes.named(container.record.handler)
        return exec.ExecRequest(container, self._containers.directory(container_id), runtime, command, tty, stdin)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float = 0) -> ExecResult:
        """See the Protocol."""
        return await exec.run(self._exec_request(container_id, command, tty=False, stdin=False), timeout)

    async def exec(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> Process:
        """See the Protocol."""
        return await exec.start(self._exec_request(container_id, command, tty=tty, stdin=stdin))

    async def attach(self, container_id: str) -> Process:
        """See the Protocol."""
        return await attach.connect(self._containers.get(container_id), self._containers.directory(container_id))

    async def port_forward(self, sandbox_id: str, port: int) -> Process:
        """See the Protocol."""
        sandbox = self._sandboxes.get(sandbox_id)
        if not sandbox.ready or sandbox.record.infra is None:
            raise RuntimeFailure(f"cannot forward to port {port}: sandbox {sandbox_id} is not ready")
        return await forwarding.connect(sandbox.record.infra.pid, port)

    async def reopen_log(self, container_id: str) -> None:
        """See the Protocol."""
        monitor.reopen_log(self._containers.directory(self._containers.get(container_id).record.id))

    # What is used, what happens.

    async def container_usage(self, container_id: str) -> Usage:
        """See the Protocol."""
        record = self._containers.get(container_id).record
        size, inodes = await self._images.snapshots.usage(container_id)
        return self._usage(record.cgroup, size, inodes)

    async def sandbox_usage(self, sandbox_id: str) -> Usage:
        """See the Protocol."""
        return self._usage(self._sandboxes.get(sandbox_id).record.cgroup)

    def _usage(self, cgroup: str, size: int = 0, inodes: int = 0) -> Usage:
        used = self._tools.cgroups.usage(cgroup)
        return Usage(
            timestamp=self._tools.now(),
            cpu_ns=used.cpu_ns,
            memory_working_set=used.memory_working_set,
            memory_usage=used.memory_usage,
            memory_rss=used.memory_rss,
            pids=used.pids,
            rootfs_bytes=size,
            rootfs_inodes=inodes,
        )

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """See the Protocol."""
        return self._tools.events.subscribe()

    async def info(self) -> RuntimeInfo:
        """See the Protocol."""
        return RuntimeInfo(
            name="podkeeper",
            version=VERSION,
            ready=True,
            network_ready=self._network_ready,
            message=self._tools.runtimes.reason,
            handler=self._tools.runtimes.current.name,
        )

    # Images: the store's own answers.

    async def image_status(self, reference: str) -> ImageStatus | None:
        """See the Protocol."""
        return await self._images.image_status(reference)

    async def list_images(self) -> Sequence[ImageStatus]:
        """See the Protocol."""
        return await self._images.list_images()

    async def pull_image(self, reference: str, credentials: PullCredentials | None = None) -> str:
        """See the Protocol."""
        return await self._images.pull_image(reference, credentials)

    async def remove_image(self, reference: str) -> None:
        """See the Protocol."""
        await self._images.remove_image(reference)

    async def image_fs_usage(self) -> tuple[int, int]:
        """See the Protocol."""
        return await self._images.image_fs_usage()
