"""A container runtime in memory: RuntimeService and ImageService whose containers do what a test tells them.

Containers run until ``exit_container`` (or ``exit_when_started``) ends them; stopping one sends its signal to nobody
and ends it with 143, unless it is in ``stubborn``: then the timeout passes on the clock and it ends with 137.
What a container uses is nothing, or what ``usages`` says by its id.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.runtime.cri import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    EventKind,
    ExecResult,
    NamespaceMode,
    Resources,
    RuntimeEvent,
    RuntimeInfo,
    SandboxConfig,
    SandboxState,
    SandboxStatus,
    Usage,
)
from podkeeper.runtime.cri_images import ImageStatus, PullCredentials
from podkeeper.runtime.engine.events import EventHub, Subscription
from podkeeper.runtime.failures import ImagePullFailure, NotFound, RuntimeFailure

ExecScript = Callable[[ContainerStatus, Sequence[str]], ExecResult]
_TERMINATED, _KILLED, _START_ERROR = 143, 137, 128


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a container ends."""

    code: int = 0
    reason: str = ""
    message: str = ""

    @property
    def kubernetes_reason(self) -> str:
        """The reason a status shows."""
        return self.reason or ("Completed" if self.code == 0 else "Error")


class ScriptedProcess:
    """A process whose output was written before; see the Process Protocol. What is written to it is kept."""

    def __init__(self, result: ExecResult) -> None:
        self._pieces = [(1, result.stdout)] if result.stdout else []
        self._pieces += [(2, result.stderr)] if result.stderr else []
        self._code = result.exit_code
        self.written, self.stdin_closed, self.closed = b"", False, False
        self.size: tuple[int, int] | None = None

    async def read(self) -> tuple[int, bytes] | None:
        """See the Protocol."""
        return self._pieces.pop(0) if self._pieces and not self.closed else None

    async def write(self, data: bytes) -> None:
        """See the Protocol."""
        self.written += data

    async def close_stdin(self) -> None:
        """See the Protocol."""
        self.stdin_closed = True

    def resize(self, width: int, height: int) -> None:
        """See the Protocol."""
        self.size = (width, height)

    async def wait(self) -> int:
        """See the Protocol."""
        return self._code

    async def close(self) -> None:
        """See the Protocol."""
        self.closed = True


class ScriptedRuntime:
    """See the RuntimeService and ImageService Protocols. Everything public beyond them is for the test's script."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._numbers = itertools.count(1)
        self._events = EventHub()
        self._ended: dict[str, asyncio.Event] = {}
        self._failures: dict[str, list[Exception]] = defaultdict(list)
        self.sandboxes: dict[str, SandboxStatus] = {}
        self.sandbox_configs: dict[str, SandboxConfig] = {}
        self.containers: dict[str, ContainerStatus] = {}
        self.container_configs: dict[str, ContainerConfig] = {}
        self.images: dict[str, ImageStatus] = {}
        self.registry: dict[str, ImageStatus] = {}
        self.calls: list[tuple[str, str]] = []
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self.stubborn: set[str] = set()
        self.usages: dict[str, Usage] = {}
        self.exec_script: ExecScript = lambda container, command: ExecResult(0, b"", b"")
        self.processes: list[ScriptedProcess] = []
        self.registry_available = True

    # The script.

    def add_image(self, reference: str, *, user: str = "", local: bool = True) -> str:
        """Puts an image on the node under its full name (``docker.io/library/busybox:latest``). Returns its id."""
        image = _image(reference, user=user, local=local)
        self.images[reference] = image
        return image.id

    def add_to_registry(self, reference: str, *, user: str = "") -> str:
        """Puts an image where ``pull_image`` finds it. Returns its id."""
        image = _image(reference, user=user, local=False)
        self.registry[reference] = image
        return image.id

    def fail_next(self, operation: str, error: Exception) -> None:
        """Makes the next call of an operation (``run_sandbox``) raise ``error`` and change nothing."""
        self._failures[operation].append(error)

    def exit_when_started(self, name: str, outcome: Outcome) -> None:
        """Makes the next start of a container of that name end at once. Outcomes queue up."""
        self.outcomes[name].append(outcome)

    def exit_container(self, container_id: str, outcome: Outcome = Outcome()) -> None:
        """Ends a running container."""
        container = self._container(container_id)
        if container.state is not ContainerState.RUNNING:
            raise AssertionError(f"container {container.name} is {container.state.name}, so it cannot exit")
        self._end(container_id, outcome)

    def kill_sandbox(self, sandbox_id: str) -> None:
        """Ends a sandbox's infra container."""
        sandbox = self._sandbox(sandbox_id)
        self.sandboxes[sandbox_id] = replace(sandbox, state=SandboxState.NOTREADY, pid=0)
        self._events.announce(RuntimeEvent(EventKind.STOPPED, sandbox_id, sandbox.uid))

    def container_named(self, name: str, *, pod_uid: str = "") -> ContainerStatus:
        """The newest container of that name. Raises NotFound."""
        for container in reversed(self.containers.values()):
            if container.name == name and pod_uid in ("", self.sandboxes[container.sandbox_id].uid):
                return container
        raise NotFound(f"no container named {name}")

    def _called(self, operation: str, about: str) -> None:
        self.calls.append((operation, about))
        if self._failures[operation]:
            raise self._failures[operation].pop(0)

    def _now(self) -> int:
        return int(self._clock.time() * 1e9)

    def _sandbox(self, sandbox_id: str) -> SandboxStatus:
        if sandbox_id not in self.sandboxes:
            raise NotFound(f"sandbox {sandbox_id} is not known")
        return self.sandboxes[sandbox_id]

    def _container(self, container_id: str) -> ContainerStatus:
        if container_id not in self.containers:
            raise NotFound(f"container {container_id} is not known")
        return self.containers[container_id]

    def _announce(self, kind: EventKind, container: ContainerStatus) -> None:
        pod_uid = self.sandboxes[container.sandbox_id].uid
        self._events.announce(RuntimeEvent(kind, container.sandbox_id, pod_uid, container.id))

    def _end(self, container_id: str, outcome: Outcome) -> None:
        self.containers[container_id] = ended = replace(
            self.containers[container_id],
            state=ContainerState.EXITED,
            exit_code=outcome.code,
            reason=outcome.kubernetes_reason,
            message=outcome.message,
            finished_at=self._now(),
            pid=0,
        )
        self._ended[container_id].set()
        self._announce(EventKind.STOPPED, ended)

    # Sandboxes.

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """See the Protocol."""
        self._called("run_sandbox", config.name)
        number = next(self._numbers)
        sandbox_id = f"sandbox{number}"
        node_network = config.security.namespaces.network is NamespaceMode.NODE
        self.sandboxes[sandbox_id] = SandboxStatus(
            id=sandbox_id,
            name=config.name,
            namespace=config.namespace,
            uid=config.uid,
            attempt=config.attempt,
            state=SandboxState.READY,
            created_at=self._now(),
            ips=() if node_network else (f"10.88.{number // 250}.{number % 250 + 2}",),
            pid=1000 + number,
            labels=config.labels,
            annotations=config.annotations,
            runtime_handler=config.runtime_handler,
        )
        self.sandbox_configs[sandbox_id] = config
        self._events.announce(RuntimeEvent(EventKind.STARTED, sandbox_id, config.uid))
        return sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """See the Protocol."""
        self._called("stop_sandbox", sandbox_id)
        for container in await self.list_containers(sandbox_id):
            if container.state is ContainerState.RUNNING:
                self._end(container.id, Outcome(_KILLED))
        if sandbox_id in self.sandboxes and self.sandboxes[sandbox_id].state is SandboxState.READY:
            self.kill_sandbox(sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """See the Protocol."""
        self._called("remove_sandbox", sandbox_id)
        if sandbox_id not in self.sandboxes:
            return
        await self.stop_sandbox(sandbox_id)
        for container in await self.list_containers(sandbox_id):
            await self.remove_container(container.id)
        sandbox = self.sandboxes.pop(sandbox_id)
        self._events.announce(RuntimeEvent(EventKind.DELETED, sandbox_id, sandbox.uid))

    async def sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        """See the Protocol."""
        return self._sandbox(sandbox_id)

    async def list_sandboxes(self) -> Sequence[SandboxStatus]:
        """See the Protocol."""
        return list(self.sandboxes.values())

    # Containers.

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """See the Protocol."""
        self._called("create_container", config.name)
        sandbox = self._sandbox(sandbox_id)
        if sandbox.state is not SandboxState.READY:
            raise RuntimeFailure(f"cannot create container {config.name}: its sandbox {sandbox_id} is not ready")
        image = await self.image_status(config.image)
        if image is None:
            raise NotFound(f"cannot create container {config.name}: image {config.image} is not here")
        container_id = f"container{next(self._numbers)}"
        directory = self.sandbox_configs[sandbox_id].log_directory
        self.containers[container_id] = created = ContainerStatus(
            id=container_id,
            sandbox_id=sandbox_id,
            name=config.name,
            attempt=config.attempt,
            state=ContainerState.CREATED,
            image=config.image,
            image_id=image.id,
            image_ref=image.digests[0] if image.digests else image.id,
            created_at=self._now(),
            log_path=f"{directory}/{config.log_path}" if config.log_path else "",
            labels=config.labels,
            annotations=config.annotations,
            resources=config.resources,
            mounts=config.mounts,
            stop_signal=config.stop_signal or "SIGTERM",
        )
        self.container_configs[container_id] = config
        self._ended[container_id] = asyncio.Event()
        self._announce(EventKind.CREATED, created)
        return container_id

    async def start_container(self, container_id: str) -> None:
        """See the Protocol."""
        container = self._container(container_id)
        try:
            self._called("start_container", container.name)
        except Exception as error:
            self._end(container_id, Outcome(_START_ERROR, "StartError", str(error)))
            raise
        if container.state is not ContainerState.CREATED:
            raise RuntimeFailure(f"cannot start container {container_id}: it was started already")
        self.containers[container_id] = started = replace(
            container, state=ContainerState.RUNNING, started_at=self._now(), pid=2000 + next(self._numbers)
        )
        self._announce(EventKind.STARTED, started)
        if self.outcomes[container.name]:
            self._end(container_id, self.outcomes[container.name].pop(0))

    async def stop_container(self, container_id: str, timeout: float) -> None:
        """See the Protocol."""
        self._called("stop_container", container_id)
        container = self.containers.get(container_id)
        if container is None or container.state is not ContainerState.RUNNING:
            return
        if container.name in self.stubborn and timeout > 0:
            await self._clock.sleep(timeout)
        if self.containers[container_id].state is ContainerState.RUNNING:
            killed = container.name in self.stubborn or timeout <= 0
            self._end(container_id, Outcome(_KILLED if killed else _TERMINATED))

    async def remove_container(self, container_id: str) -> None:
        """See the Protocol."""
        self._called("remove_container", container_id)
        if container_id not in self.containers:
            return
        if self.containers[container_id].state is ContainerState.RUNNING:
            self._end(container_id, Outcome(_KILLED))
        self._announce(EventKind.DELETED, self.containers.pop(container_id))

    async def container_status(self, container_id: str) -> ContainerStatus:
        """See the Protocol."""
        return self._container(container_id)

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """See the Protocol."""
        return [each for each in self.containers.values() if sandbox_id in ("", each.sandbox_id)]

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """See the Protocol."""
        container = self._container(container_id)
        self._called("update_container", container.name)
        self.containers[container_id] = replace(container, resources=resources)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float = 0) -> ExecResult:
        """See the Protocol; ``exec_script`` answers."""
        return self._run(container_id, command)

    def _run(self, container_id: str, command: Sequence[str]) -> ExecResult:
        container = self._container(container_id)
        self._called("exec", " ".join(command))
        if container.state is not ContainerState.RUNNING:
            raise RuntimeFailure(f"cannot exec in container {container.name}: it does not run")
        return self.exec_script(container, command)

    async def exec(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ScriptedProcess:
        """See the Protocol; ``exec_script`` answers. The process is kept in ``processes``."""
        result = self._run(container_id, command)
        if tty:
            result = ExecResult(result.exit_code, result.stdout + result.stderr, b"")
        self.processes.append(ScriptedProcess(result))
        return self.processes[-1]

    async def attach(self, container_id: str) -> ScriptedProcess:
        """See the Protocol."""
        container = self._container(container_id)
        if container.state is not ContainerState.RUNNING:
            raise RuntimeFailure(f"cannot attach to container {container.name}: it does not run")
        self.processes.append(ScriptedProcess(ExecResult(0, b"", b"")))
        return self.processes[-1]

    async def port_forward(self, sandbox_id: str, port: int) -> ScriptedProcess:
        """See the Protocol."""
        self._called("port_forward", f"{sandbox_id}:{port}")
        if self._sandbox(sandbox_id).state is not SandboxState.READY:
            raise RuntimeFailure(f"cannot forward to port {port}: sandbox {sandbox_id} is not ready")
        self.processes.append(ScriptedProcess(ExecResult(0, b"", b"")))
        return self.processes[-1]

    async def reopen_log(self, container_id: str) -> None:
        """See the Protocol."""
        self._called("reopen_log", self._container(container_id).name)

    async def container_usage(self, container_id: str) -> Usage:
        """See the Protocol."""
        self._container(container_id)
        return self.usages.get(container_id, Usage(self._now(), 0, 0, 0))

    async def sandbox_usage(self, sandbox_id: str) -> Usage:
        """See the Protocol."""
        self._sandbox(sandbox_id)
        return Usage(self._now(), 0, 0, 0)

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """See the Protocol."""
        subscription: Subscription = self._events.subscribe()
        return subscription

    async def info(self) -> RuntimeInfo:
        """See the Protocol."""
        return RuntimeInfo("scripted", "1", ready=True, network_ready=True, handler="scripted")

    # Images.

    async def image_status(self, reference: str) -> ImageStatus | None:
        """See the Protocol; names are taken as they are written."""
        return next((each for each in self.images.values() if reference in (each.id, *each.tags, *each.digests)), None)

    async def list_images(self) -> Sequence[ImageStatus]:
        """See the Protocol."""
        return list(self.images.values())

    async def pull_image(self, reference: str, credentials: PullCredentials | None = None) -> str:
        """See the Protocol; what ``registry`` has is found while ``registry_available``."""
        self._called("pull_image", reference)
        if not self.registry_available:
            raise ImagePullFailure(f"cannot pull {reference}: no registry answers", "RegistryUnavailable")
        if reference not in self.registry:
            raise ImagePullFailure(f"cannot pull {reference}: not found", "ErrImagePull")
        self.images[reference] = self.registry[reference]
        return self.images[reference].id

    async def remove_image(self, reference: str) -> None:
        """See the Protocol."""
        self._called("remove_image", reference)
        for name, image in tuple(self.images.items()):
            if reference in (image.id, *image.tags, *image.digests):
                del self.images[name]

    async def image_fs_usage(self) -> tuple[int, int]:
        """See the Protocol."""
        return sum(image.size for image in self.images.values()), len(self.images)


def _image(reference: str, *, user: str, local: bool) -> ImageStatus:
    digest = f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
    repository = reference.rsplit(":", 1)[0]
    return ImageStatus(
        id=digest,
        tags=(reference,),
        digests=() if local else (f"{repository}@{digest}",),
        size=1 << 20,
        user=user,
        local=local,
    )
