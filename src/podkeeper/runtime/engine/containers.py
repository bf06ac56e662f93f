"""Containers: a root file system and a spec joined to a sandbox's namespaces, run under a monitor.

    create --> CREATED --start--> RUNNING --monitor ends--> EXITED --remove--> gone
                  \\--start fails--> EXITED (StartError, 128)

The monitor's end tells the container's (a pidfd); its exit file has the code. A record is written at each arrow.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from podkeeper.foundation.cgroups import CgroupError
from podkeeper.runtime.cri import ContainerConfig, ContainerState, ContainerStatus, EventKind, Resources
from podkeeper.runtime.cri_images import ImageStatus
from podkeeper.runtime.engine.config import Images
from podkeeper.runtime.engine.directories import remove_directory
from podkeeper.runtime.engine.endings import START_ERROR_CODE, read_exit, stop_signal_number
from podkeeper.runtime.engine.filters import FilterCache
from podkeeper.runtime.engine.heeding import heeds
from podkeeper.runtime.engine.monitor import MONITOR_PID_FILE, MonitorConfig, Monitors, living_monitor
from podkeeper.runtime.engine.oci_runtime import PID_FILE, OciRuntime, OciRuntimeFailure
from podkeeper.runtime.engine.processes import ExitWatch, identity_in, uninterrupted
from podkeeper.runtime.engine.records import ContainerRecord, Exit, new_id, save
from podkeeper.runtime.engine.sandboxes import Sandbox, Sandboxes, hostname
from podkeeper.runtime.engine.spec import bundle, process, resources, users
from podkeeper.runtime.engine.spec.rootfs_files import make_directories
from podkeeper.runtime.engine.tools import Tools
from podkeeper.runtime.failures import NotFound, RuntimeFailure

_log = logging.getLogger(__name__)

#: Seconds after its start for which a container may not be ready yet to be told to stop, and between looks.
YOUNG, ASKED_EVERY = 1.0, 0.02


class Container(Struct):
    """One container in memory. ``starting`` holds its end back until its start was announced."""

    record: ContainerRecord
    pod_uid: str
    monitor: ExitWatch | None = None
    starting: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def state(self) -> ContainerState:
        """Derived from the record's facts."""
        if self.record.exit is not None:
            return ContainerState.EXITED
        return ContainerState.RUNNING if self.record.started_at else ContainerState.CREATED

    def signal(self, number: int) -> None:
        """Signals the container's first process; silent when it is gone."""
        descriptor = self.record.process.open() if self.record.process else None
        if descriptor is not None:
            try:
                signal.pidfd_send_signal(descriptor, number)
            except ProcessLookupError:
                pass
            finally:
                os.close(descriptor)


class Containers:
    """Every app container of the engine."""

    def __init__(self, tools: Tools, images: Images, sandboxes: Sandboxes) -> None:
        self._tools, self._images, self._sandboxes = tools, images, sandboxes
        self._monitors = Monitors(tools.config.conmon, tools.cgroups, f"{tools.config.cgroup}/monitors")
        self._filters = FilterCache(tools.directories.filters)
        self._containers: dict[str, Container] = {}

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._containers.values()))

    def get(self, container_id: str) -> Container:
        """Raises NotFound."""
        try:
            return self._containers[container_id]
        except KeyError:
            raise NotFound(f"container {container_id} is not known") from None

    def find(self, container_id: str) -> Container | None:
        """The container, or None."""
        return self._containers.get(container_id)

    def of_sandbox(self, sandbox_id: str) -> list[Container]:
        """The containers of one sandbox, oldest first."""
        return [container for container in self if container.record.sandbox_id == sandbox_id]

    def directory(self, container_id: str) -> Path:
        """Where bundle, record and the monitor's files are."""
        return self._tools.directories.container(container_id)

    # CREATED

    async def create(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Prepares a container. NotFound for the sandbox or image, RuntimeFailure for what cannot run."""
        sandbox, container_id = self._sandboxes.get(sandbox_id), new_id()
        if not sandbox.ready:
            raise RuntimeFailure(f"cannot create container {config.name}: its sandbox {sandbox_id} is not ready")
        directory = self.directory(container_id)
        directory.mkdir(mode=0o700)
        try:
            record = await self._prepare(sandbox, config, container_id)
        except BaseException:
            await self._images.snapshots.remove(container_id)
            remove_directory(directory)
            raise
        self._containers[container_id] = Container(record, sandbox.record.config.uid)
        self._tools.announce(EventKind.CREATED, sandbox_id, sandbox.record.config.uid, container_id)
        return container_id

    async def _prepare(self, sandbox: Sandbox, config: ContainerConfig, container_id: str) -> ContainerRecord:
        found = await self._image(config)
        image_id, image = found.id, self._images.image_config(found.id)
        rootfs = await self._images.snapshots.prepare(container_id, image_id)
        user = users.resolve(rootfs, config.security, image.user)
        cgroup = f"{sandbox.record.cgroup.rpartition('/')[0]}/{container_id}"
        around = self._surroundings(sandbox, config, rootfs, cgroup)
        spec = self._filters.apply(bundle.of_container(config, image, user, around), self._tools.runtimes.current)
        make_directories(rootfs, spec["process"]["cwd"], (user.uid, user.gid))
        directory = self.directory(container_id)
        (directory / "config.json").write_text(json.dumps(spec))
        (directory / "exits").mkdir()
        record = ContainerRecord(
            id=container_id,
            sandbox_id=sandbox.record.id,
            config=config,
            created_at=self._tools.now(),
            handler=self._tools.runtimes.current.name,
            cgroup=cgroup,
            log_path=os.path.join(sandbox.record.config.log_directory, config.log_path) if config.log_path else "",
            user=(user.uid, user.gid, user.groups),
            stop_signal=config.stop_signal or image.stop_signal or "SIGTERM",
            image_id=image_id,
            image_ref=found.digests[0] if found.digests else image_id,
            command=process.command(config, image),
        )
        stop_signal_number(record.stop_signal)
        save(directory, record)
        return record

    async def _image(self, config: ContainerConfig) -> ImageStatus:
        status = await self._images.image_status(config.image)
        if status is None:
            raise NotFound(f"cannot create container {config.name}: image {config.image} is not here")
        return status

    def _surroundings(
        self, sandbox: Sandbox, config: ContainerConfig, rootfs: Path, cgroup: str
    ) -> bundle.Surroundings:
        infra, target = sandbox.record.infra, 0
        assert infra is not None
        if config.security.namespaces.target_id:
            process = self.get(config.security.namespaces.target_id).record.process
            if process is None:
                raise RuntimeFailure(f"cannot create container {config.name}: the container it targets does not run")
            target = process.pid
        return bundle.Surroundings(
            sandbox=sandbox.record.config,
            infra=infra.pid,
            target=target,
            files=self._sandboxes.files(sandbox.record),
            rootfs=rootfs,
            cgroup=cgroup,
            hostname=hostname(sandbox.record.config),
            version_2=self._tools.version_2,
            huge_pages=self._tools.has_controller("hugetlb"),
        )

    # RUNNING

    async def start(self, container_id: str) -> None:
        """Runs it under a monitor. RuntimeFailure; the container is EXITED then."""
        container = self.get(container_id)
        if container.state is not ContainerState.CREATED or container.starting:
            raise RuntimeFailure(f"cannot start container {container_id}: it was started already")
        container.starting = True
        try:
            await self._start(container)
        except BaseException as error:
            await self._fail(container, error)
            raise
        finally:
            container.starting = False
        self._tools.announce(EventKind.STARTED, container.record.sandbox_id, container.pod_uid, container_id)
        if container.monitor is not None and not container.monitor.alive:
            self._finish(container)

    async def _start(self, container: Container) -> None:
        record, directory = container.record, self.directory(container.record.id)
        try:
            runtime = await self._tools.runtimes.attempt(
                record.handler, lambda each: self._run_monitor(container, each)
            )
            started_at = self._tools.now()
            await runtime.start(record.id, directory)
            self._filters.harvest(directory, runtime, record.id)
        except OciRuntimeFailure as error:
            raise RuntimeFailure(f"cannot start container {record.config.name}: {error.cause}") from error
        container.record = replace(container.record, started_at=started_at)
        save(directory, container.record)

    async def _run_monitor(self, container: Container, runtime: OciRuntime) -> OciRuntime:
        """Starts the monitor, which has ``runtime`` create the container; its program does not run yet."""
        record, directory = container.record, self.directory(container.record.id)
        config, log_path = record.config, Path(record.log_path or "/dev/null")
        await asyncio.to_thread(log_path.parent.mkdir, parents=True, exist_ok=True)
        monitor = MonitorConfig(record.id, directory, log_path, config.tty, config.stdin, config.stdin_once)
        watched, process = await uninterrupted(self._monitors.create(runtime, monitor))
        container.record = replace(record, handler=runtime.name, monitor=watched, process=process)
        save(directory, container.record)
        container.monitor = ExitWatch(watched, lambda: self._monitor_ended(container))
        return runtime

    async def _fail(self, container: Container, error: BaseException) -> None:
        """Clears away what a failed start has left and makes the container EXITED."""
        record = container.record
        if container.monitor is not None:
            container.monitor.close()
        message = str(error) or "its start was cancelled"
        ended = Exit(START_ERROR_CODE, "StartError", self._tools.now(), message)
        self._end(container, ended)
        try:
            await self._clear(container.record)
        except (OSError, RuntimeFailure, CgroupError) as fault:
            _log.warning("container %s: cannot clear away its failed start: %s", record.id, fault)

    async def _clear(self, record: ContainerRecord) -> None:
        """Removes a container's processes, its entry in the OCI runtime and its control group."""
        await self._tools.runtimes.delete(record.id, self.directory(record.id))
        await self._tools.cgroups.remove(record.cgroup)

    # EXITED

    def _monitor_ended(self, container: Container) -> None:
        if not container.starting:
            self._finish(container)

    def _finish(self, container: Container) -> None:
        """Learns from the monitor's files how the container ended, and tells."""
        record = container.record
        if record.exit is not None:
            return
        ended = read_exit(self.directory(record.id), record, self._tools.now())
        # What other containers' shared process namespace has kept alive of this one must not go on.
        self._tools.cgroups.signal(record.cgroup, signal.SIGKILL)
        self._end(container, ended)
        self._tools.announce(EventKind.STOPPED, record.sandbox_id, container.pod_uid, record.id)

    def _end(self, container: Container, ended: Exit) -> None:
        """Writes an end down. A full disk must not hide it: the monitor's files tell it again after a restart."""
        container.record = replace(container.record, exit=ended)
        try:
            save(self.directory(container.record.id), container.record)
        except OSError as error:
            _log.warning("container %s: cannot record its end: %s", container.record.id, error)
        container.ended.set()

    async def stop(self, container_id: str, timeout: float) -> None:
        """The stop signal, then ``timeout`` seconds, then SIGKILL. Returns when it has ended."""
        container = self.find(container_id)
        if container is None or container.state is not ContainerState.RUNNING:
            return
        if timeout > 0:
            number, clock = stop_signal_number(container.record.stop_signal), self._tools.config.clock
            deadline = clock.monotonic() + timeout
            await self._until_heeded(container, number, min(timeout, YOUNG))
            container.signal(number)
            try:
                await asyncio.wait_for(container.ended.wait(), max(0.0, deadline - clock.monotonic()))
            except TimeoutError:
                _log.info("container %s ignored %s for %g s", container_id, container.record.stop_signal, timeout)
        await self._kill(container)

    async def _until_heeded(self, container: Container, number: int, most: float) -> None:
        """Gives a program that has only just started the time to provide for its stop signal, which it would not get
        otherwise and be waited for in vain. Nobody tells when it has, so the kernel is asked."""
        clock, process = self._tools.config.clock, container.record.process
        ends = min(clock.time() + most, container.record.started_at / 1e9 + YOUNG)
        while process is not None and clock.time() < ends and not heeds(process.pid, number):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(container.ended.wait(), ASKED_EVERY)
                return

    async def _kill(self, container: Container) -> None:
        if container.state is ContainerState.RUNNING:
            container.signal(signal.SIGKILL)
            self._tools.cgroups.signal(container.record.cgroup, signal.SIGKILL)
            await container.ended.wait()

    async def remove(self, container_id: str) -> None:
        """Kills it if it runs and removes everything but its log. Silent when it is gone."""
        container = self.find(container_id)
        if container is None:
            return
        await self._kill(container)
        await self._clear(container.record)
        await self._images.snapshots.remove(container_id)
        remove_directory(self.directory(container_id))
        if self._containers.pop(container_id, None) is not None:
            self._tools.announce(EventKind.DELETED, container.record.sandbox_id, container.pod_uid, container_id)

    def update(self, container_id: str, wanted: Resources) -> None:
        """Changes limits in place. CgroupError."""
        container = self.get(container_id)
        if container.state is ContainerState.RUNNING:
            self._tools.cgroups.apply(container.record.cgroup, resources.limits(wanted))
        elif container.state is ContainerState.CREATED:
            self._rewrite_resources(container_id, wanted)
        container.record = replace(container.record, config=replace(container.record.config, resources=wanted))
        save(self.directory(container_id), container.record)

    def _rewrite_resources(self, container_id: str, wanted: Resources) -> None:
        file = self.directory(container_id) / "config.json"
        spec = json.loads(file.read_text())
        devices = spec["linux"]["resources"]["devices"]
        spec["linux"]["resources"] = {**resources.section(wanted), "devices": devices}
        file.write_text(json.dumps(spec))

    # After a restart of the engine.

    async def adopt(self, record: ContainerRecord, pod_uid: str) -> None:
        """Takes up a container of an earlier engine, with the exit that happened meanwhile."""
        container = Container(record, pod_uid)
        self._containers[record.id] = container
        if record.exit is not None:
            container.ended.set()
        elif record.started_at and record.monitor is not None:
            container.monitor = ExitWatch(record.monitor, lambda: self._monitor_ended(container))
            if not container.monitor.alive:
                self._finish(container)
        elif (self.directory(record.id) / MONITOR_PID_FILE).exists():
            await self._adopt_starting(container)

    async def _adopt_starting(self, container: Container) -> None:
        """The engine was killed during the start: what had begun is adopted, though it may have ended meanwhile; what
        had not begun is CREATED still, and nothing but its record is left of it."""
        record, directory = container.record, self.directory(container.record.id)
        has_ended = (directory / "exits" / record.id).exists()
        if not has_ended and not await self._tools.runtimes.named(record.handler).has_begun(record.id, directory):
            await self._clear(record)
            return
        watched, process = living_monitor(directory, record.id), identity_in(directory / PID_FILE)
        container.record = replace(record, monitor=watched, process=process, started_at=self._tools.now())
        save(directory, container.record)
        if watched is not None:
            container.monitor = ExitWatch(watched, lambda: self._monitor_ended(container))
        if container.monitor is None or not container.monitor.alive:
            self._finish(container)

    def release(self) -> None:
        """Stops watching; monitors and containers live on."""
        for container in self:
            if container.monitor is not None:
                container.monitor.close()

    def status(self, container: Container) -> ContainerStatus:
        """The CRI's view."""
        record, config = container.record, container.record.config
        ended = record.exit or Exit(0, "", 0)
        running = container.state is ContainerState.RUNNING and record.process is not None
        return ContainerStatus(
            id=record.id,
            sandbox_id=record.sandbox_id,
            name=config.name,
            attempt=config.attempt,
            state=container.state,
            image=config.image,
            image_id=record.image_id,
            image_ref=record.image_ref,
            created_at=record.created_at,
            started_at=record.started_at,
            finished_at=ended.finished_at,
            exit_code=ended.code,
            reason=ended.reason,
            message=ended.message,
            pid=record.process.pid if running and record.process else 0,
            log_path=record.log_path,
            labels=config.labels,
            annotations=config.annotations,
            resources=config.resources,
            mounts=config.mounts,
            stop_signal=record.stop_signal,
            user=record.user,
        )
