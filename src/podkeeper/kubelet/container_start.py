"""Starts one container: image, config, create, start, postStart hook; each failure with upstream's reason and event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.kubelet.container_config import ContainerPlace, build_container_config
from podkeeper.kubelet.environment import ConfigError
from podkeeper.kubelet.image_puller import ImageFailure
from podkeeper.kubelet.lifecycle import HookFailure, HookTarget, run_hook
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.security import RefusedUser
from podkeeper.kubelet.termination import Ending, Terminator
from podkeeper.kubelet.volumes.plugin import VolumeFailure
from podkeeper.kubelet.waiting import unless
from podkeeper.runtime.cri import ContainerConfig
from podkeeper.runtime.cri_images import ImageStatus
from podkeeper.runtime.failures import RuntimeFailure

RETRY_SECONDS = 10.0


class StartFailure(Exception):
    """A container did not start. ``reason`` and ``message`` are shown at once, ``held`` while it waits ``delay``
    seconds for the next try; a ``created`` one is counted by the runtime and waits as a crash does."""

    def __init__(
        self, reason: str, message: str, *, delay: float = RETRY_SECONDS, held: tuple[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason, self.message, self.delay = reason, message, delay
        self.held_reason, self.held_message = held or (reason, message)


class ContainerStarter(Struct, frozen=True):
    """Starts containers of one pod. ``ending`` interrupts what may take long, pulls and hooks; ``show_progress`` is
    awaited before, so that the pod's status does not lag behind meanwhile. ``hooking`` holds the ids of containers
    whose postStart hook runs: they do not count as running before it is done."""

    parts: KubeletParts
    events: PodEvents
    terminator: Terminator
    ending: asyncio.Event
    show_progress: Callable[[], Awaitable[None]]
    hooking: set[str]

    async def start(self, sandbox_id: str, place: ContainerPlace, container: v1.Container) -> str:
        """Returns the id of the running container. Raises StartFailure or Interrupted."""
        image = await self._image(place.pod, container)
        config = await self._config(place, container, image)
        container_id = await self._create(sandbox_id, config)
        await self._start(container_id, config)
        await self._post_start(container_id, place, container)
        return container_id

    async def _image(self, pod: v1.Pod, container: v1.Container) -> ImageStatus:
        try:
            return await unless(self.ending, self.parts.puller.ensure(pod, container, self.events, self.show_progress))
        except ImageFailure as error:
            held = (error.held_reason, error.held_message)
            raise StartFailure(error.reason, error.message, delay=error.delay, held=held) from error

    async def _config(self, place: ContainerPlace, container: v1.Container, image: ImageStatus) -> ContainerConfig:
        try:
            config, environment = await build_container_config(self.parts, place, container, image)
        except (ConfigError, RefusedUser, VolumeFailure, OSError) as error:
            self.events.warning("Failed", f"Error: {error}", container.name)
            raise StartFailure("CreateContainerConfigError", str(error)) from error
        for warning in environment.warnings:
            self.events.warning("InvalidEnvironmentVariableNames", warning, container.name)
        return config

    async def _create(self, sandbox_id: str, config: ContainerConfig) -> str:
        try:
            container_id = await self.parts.runtime.create_container(sandbox_id, config)
        except RuntimeFailure as error:
            self.events.warning("Failed", f"Error: {error}", config.name)
            raise StartFailure("CreateContainerError", str(error)) from error
        self.events.normal("Created", "Container created", config.name)
        return container_id

    async def _start(self, container_id: str, config: ContainerConfig) -> None:
        try:
            await self.parts.runtime.start_container(container_id)
        except RuntimeFailure as error:
            self.events.warning("Failed", f"Error: {error}", config.name)
            raise StartFailure("RunContainerError", str(error), delay=1.0) from error
        self.events.normal("Started", "Container started", config.name)

    async def _post_start(self, container_id: str, place: ContainerPlace, container: v1.Container) -> None:
        hook = container.lifecycle.post_start if container.lifecycle else None
        if hook is None:
            return
        target = HookTarget(container, container_id, place.pod_ips[0] if place.pod_ips else "")
        self.hooking.add(container_id)
        try:
            await self.show_progress()
            await unless(self.ending, run_hook(hook, target, self.parts.runtime, self.parts.clock))
        except HookFailure as error:
            self.events.warning("FailedPostStartHook", "PostStartHook failed", container.name)
            await self._kill_unhooked(container_id, place.pod)
            raise StartFailure("PostStartHookError", f"PostStart hook failed: {error}", delay=0) from error
        finally:
            self.hooking.discard(container_id)

    async def _kill_unhooked(self, container_id: str, pod: v1.Pod) -> None:
        grace = pod.spec.termination_grace_period_seconds
        status = await self.parts.runtime.container_status(container_id)
        await self.terminator.end(Ending(status, 30 if grace is None else grace, "FailedPostStartHook"))
