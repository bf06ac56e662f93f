"""What the runtime knows of one pod: an immutable picture that planning and status are derived from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from podkeeper.kubelet import labels
from podkeeper.runtime.cri import ContainerState, ContainerStatus, RuntimeService, SandboxState, SandboxStatus
from podkeeper.runtime.failures import NotFound


class PodRuntime(Struct, frozen=True):
    """One pod's sandboxes and containers, each newest first."""

    sandboxes: tuple[SandboxStatus, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    @classmethod
    def of(cls, sandboxes: Iterable[SandboxStatus], containers: Iterable[ContainerStatus]) -> PodRuntime:
        """Sorts both newest first."""
        return cls(
            tuple(sorted(sandboxes, key=lambda each: (each.attempt, each.created_at), reverse=True)),
            tuple(sorted(containers, key=lambda each: (each.created_at, each.attempt), reverse=True)),
        )

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The newest sandbox."""
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def ready_sandbox(self) -> SandboxStatus | None:
        """The newest sandbox, if its infra container lives."""
        newest = self.sandbox
        return newest if newest is not None and newest.state is SandboxState.READY else None

    def latest(self, name: str) -> ContainerStatus | None:
        """The newest container of that name."""
        return next((each for each in self.containers if each.name == name), None)

    def latest_in(self, name: str, sandbox_id: str) -> ContainerStatus | None:
        """The newest container of that name in one sandbox."""
        found = (each for each in self.containers if each.name == name and each.sandbox_id == sandbox_id)
        return next(found, None)

    def history(self, name: str) -> Sequence[ContainerStatus]:
        """Every container of that name, newest first."""
        return [each for each in self.containers if each.name == name]

    def by_id(self, container_id: str) -> ContainerStatus | None:
        """The container with that id."""
        return next((each for each in self.containers if each.id == container_id), None)

    def running(self) -> Sequence[ContainerStatus]:
        """Containers that run."""
        return [each for each in self.containers if each.state is ContainerState.RUNNING]

    def without(self, container_ids: Collection[str]) -> PodRuntime:
        """The same picture with some containers left out."""
        if not container_ids:
            return self
        return PodRuntime(self.sandboxes, tuple(each for each in self.containers if each.id not in container_ids))

    @property
    def ips(self) -> tuple[str, ...]:
        """Addresses of the living sandbox, primary first."""
        ready = self.ready_sandbox
        return ready.ips if ready else ()


def restart_count(container: ContainerStatus) -> int:
    """How often its name had been restarted when this container was made."""
    text = container.annotations.get(labels.RESTART_COUNT, "")
    return int(text) if text.isdecimal() else container.attempt


async def read_pod_runtime(runtime: RuntimeService, sandbox_ids: Iterable[str]) -> PodRuntime:
    """Asks the runtime about a pod's sandboxes; those that are gone are left out."""
    sandboxes: list[SandboxStatus] = []
    containers: list[ContainerStatus] = []
    for sandbox_id in sandbox_ids:
        try:
            sandboxes.append(await runtime.sandbox_status(sandbox_id))
        except NotFound:
            continue
        containers += await runtime.list_containers(sandbox_id)
    return PodRuntime.of(sandboxes, containers)
