"""Makes sure that a container's image is on the node, as its pull policy says, with upstream's events and reasons.

https://kubernetes.io/docs/concepts/containers/images/ ; failed pulls back off from 10 s to 5 min per pod and image.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.objects import PodObjects
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.pods import all_containers
from podkeeper.kubelet.pull_secrets import credentials_for
from podkeeper.runtime.cri_images import ImageService, ImageStatus, PullCredentials
from podkeeper.runtime.failures import ImagePullFailure, RuntimeFailure

FIRST_DELAY, MAX_DELAY = 10.0, 300.0
UNREACHABLE = "RegistryUnavailable"  # between the runtime and us; what people see is ErrImagePull, as with containerd


class ImageFailure(Exception):
    """No image: the waiting reason, its message, and for how many seconds not to try again (with what to say then)."""

    def __init__(self, reason: str, message: str, delay: float = 0.0, held: tuple[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason, self.message, self.delay = reason, message, delay
        self.held_reason, self.held_message = held or (reason, message)


class _Request(Struct, frozen=True):
    """One container's wish."""

    pod: v1.Pod
    container: v1.Container
    events: PodEvents

    @property
    def image(self) -> str:
        return self.container.image

    @property
    def key(self) -> str:
        return f"{self.pod.metadata.uid}_{self.image}"

    def normal(self, reason: str, message: str) -> None:
        self.events.normal(reason, message, self.container.name)

    def warning(self, reason: str, message: str) -> None:
        self.events.warning(reason, message, self.container.name)


class ImagePuller:
    """Pulls for every pod of the node, a bounded number at once."""

    def __init__(self, images: ImageService, objects: PodObjects, clock: Clock, parallel: int) -> None:
        self._images, self._objects, self._clock = images, objects, clock
        self._slots = asyncio.Semaphore(parallel)
        self._backoff = BackOff(FIRST_DELAY, MAX_DELAY)

    async def ensure(
        self, pod: v1.Pod, container: v1.Container, events: PodEvents, on_pull: Callable[[], Awaitable[None]]
    ) -> ImageStatus:
        """The image to run; ``on_pull`` is awaited before anything that may take long. Raises ImageFailure."""
        request = _Request(pod, container, events)
        policy = container.image_pull_policy or "IfNotPresent"
        present = await self._inspect(request)
        if policy == "Never" and present is None:
            text = f'Container image "{request.image}" is not present with pull policy of Never'
            request.warning("ErrImageNeverPull", text)
            raise self._refusal(request, "ErrImageNeverPull", text, FIRST_DELAY)
        if policy != "Always" and present is not None:
            text = f'Container image "{request.image}" already present on machine and can be accessed by the pod'
            request.normal("Pulled", text)
            return present
        await on_pull()
        return await self._pull(request, present)

    def forget(self, pod: v1.Pod) -> None:
        """Drops the pod's back-offs."""
        for container in all_containers(pod):
            self._backoff.reset(f"{pod.metadata.uid}_{container.image}")

    async def _inspect(self, request: _Request) -> ImageStatus | None:
        try:
            return await self._images.image_status(request.image)
        except ImagePullFailure as error:
            text = f'Failed to apply default image tag "{request.image}": {error}'
            request.warning("InspectFailed", text)
            raise self._refusal(request, error.reason, text, MAX_DELAY) from error

    def _refusal(self, request: _Request, reason: str, text: str, delay: float) -> ImageFailure:
        """What no registry is asked about; the container's own event repeats the reason alone."""
        request.warning("Failed", f"Error: {reason}")
        return ImageFailure(reason, text, delay)

    async def _pull(self, request: _Request, present: ImageStatus | None) -> ImageStatus:
        request.normal("Pulling", f'Pulling image "{request.image}"')
        asked = self._clock.monotonic()
        async with self._slots:
            began = self._clock.monotonic()
            try:
                image_id = await self._fetch(request)
            except ImagePullFailure as error:
                if error.reason == UNREACHABLE and present is not None and present.local:
                    return self._fall_back(request, present, error)
                raise self._failure(request, error) from error
        ended = self._clock.monotonic()
        self._backoff.reset(request.key)
        found = await self._images.image_status(image_id)
        if found is None:
            raise ImageFailure("ErrImagePull", f'image "{request.image}" vanished after its pull', FIRST_DELAY)
        request.normal(
            "Pulled",
            f'Successfully pulled image "{request.image}" in {go_milliseconds(ended - began)} '
            f"({go_milliseconds(ended - asked)} including waiting). Image size: {found.size} bytes.",
        )
        return found

    async def _fetch(self, request: _Request) -> str:
        """Tries the pod's credentials for the registry in turn, or none."""
        chosen: list[PullCredentials | None] = [*await credentials_for(request.pod, request.image, self._objects)]
        for credentials in chosen[:-1]:
            try:
                return await self._images.pull_image(request.image, credentials)
            except ImagePullFailure as error:
                if error.reason == UNREACHABLE:
                    raise
        try:
            return await self._images.pull_image(request.image, chosen[-1] if chosen else None)
        except ImagePullFailure:
            raise
        except RuntimeFailure as error:
            raise ImagePullFailure(str(error)) from error

    def _fall_back(self, request: _Request, present: ImageStatus, error: ImagePullFailure) -> ImageStatus:
        """An image that was built or imported here stands in while no registry answers."""
        request.normal(
            "Pulled",
            f'No registry answered for image "{request.image}" ({error}); '
            "using the image of that name that was built or imported on this node",
        )
        self._backoff.reset(request.key)
        return present

    def _failure(self, request: _Request, error: ImagePullFailure) -> ImageFailure:
        request.warning("Failed", f'Failed to pull image "{request.image}": {error}')
        reason, message = "ErrImagePull" if error.reason == UNREACHABLE else error.reason, str(error)
        request.warning("Failed", f"Error: {reason}")
        held = ("ImagePullBackOff", f'Back-off pulling image "{request.image}": {reason}: {message}')
        return ImageFailure(reason, message, self._backoff.next_delay(request.key), held)


def go_milliseconds(seconds: float) -> str:
    """A duration cut to milliseconds as Go prints it: ``7ms``, ``1.25s``, ``2m0.5s``."""
    millis = int(seconds * 1000)
    if millis < 1000:
        return f"{millis}ms" if millis else "0s"
    minutes, rest = divmod(millis, 60_000)
    whole = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + f"{whole}s"
