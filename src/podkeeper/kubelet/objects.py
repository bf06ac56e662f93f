"""ConfigMaps and Secrets that pods refer to: one watch per object that is in use, shared by all who use it.

``hold`` begins to follow an object and ``release`` ends it; in between ``read`` answers from memory and the holder's
callback is called when the object appears, changes or goes. Objects marked immutable are read once and not watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from podkeeper.api.core import v1
from podkeeper.api.errors import not_found
from podkeeper.client.api import Api, ConnectionFailed, ResourceClient, WatchEvent
from podkeeper.client.reflector import Reflector, Selection
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.waiting import within

T = TypeVar("T", v1.ConfigMap, v1.Secret)
OnChange = Callable[[], None]

SYNC_SECONDS = 10.0


class _Followed(Generic[T]):
    """One object as last seen: a reflector's sink. ``loaded`` is set once its presence or absence is known."""

    def __init__(self) -> None:
        self.loaded = asyncio.Event()
        self.object: T | None = None
        self.holders: dict[str, OnChange] = {}
        self.task: asyncio.Task[None] | None = None

    def replace(self, objects: Sequence[T], version: str) -> None:
        """A list: the object, or nothing."""
        self._set(objects[0] if objects else None)

    def apply(self, event: WatchEvent[T]) -> None:
        """One change of it."""
        self._set(None if event.type == "DELETED" else event.object)

    def _set(self, present: T | None) -> None:
        before, known = self.object, self.loaded.is_set()
        self.object = present
        self.loaded.set()
        if known and _version(before) != _version(present):
            for on_change in list(self.holders.values()):
                on_change()
        if present is not None and present.immutable and self.task is not None:
            self.task.cancel()


def _version(obj: v1.ConfigMap | v1.Secret | None) -> str:
    return obj.metadata.resource_version if obj is not None else ""


class ObjectFollower(Generic[T]):
    """Follows objects of one kind; its watches live in ``tasks``."""

    def __init__(self, client: ResourceClient[T], resource: str, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._client: ResourceClient[T] = client
        self._resource, self._clock, self._tasks = resource, clock, tasks
        self._followed: dict[tuple[str, str], _Followed[T]] = {}

    def hold(self, namespace: str, name: str, holder: str, on_change: OnChange) -> None:
        """Follows an object for ``holder`` (a pod's UID); again for the same holder changes the callback."""
        key = (namespace, name)
        followed = self._followed.get(key)
        if followed is None:
            followed = self._followed[key] = _Followed()
            selection = Selection(namespace=namespace, field_selector=f"metadata.name={name}")
            reflector = Reflector(self._client, followed, self._clock, selection)
            followed.task = self._tasks.create_task(reflector.run(), name=f"follow {self._resource} {name}")
        followed.holders[holder] = on_change

    def release(self, holder: str) -> None:
        """Ends everything that ``holder`` holds; what nobody holds any more is no longer followed."""
        for key in [key for key, each in self._followed.items() if each.holders.pop(holder, None) is not None]:
            if not self._followed[key].holders:
                task = self._followed.pop(key).task
                if task is not None:
                    task.cancel()

    async def read(self, namespace: str, name: str) -> T:
        """The object as last seen. Raises ApiError 404, or ConnectionFailed when the API does not tell in 10 s."""
        followed = self._followed[namespace, name]
        if not followed.loaded.is_set():
            try:
                await within(SYNC_SECONDS, followed.loaded.wait(), self._clock)
            except TimeoutError as error:
                kind = self._resource.removesuffix("s")
                raise ConnectionFailed(f"failed to sync {kind} cache: timed out waiting for the condition") from error
        if followed.object is None:
            raise not_found(self._resource, "", name)
        return followed.object


class PodObjects:
    """The followers of ConfigMaps and Secrets together, as one pod's holder sees them."""

    def __init__(self, config_maps: ObjectFollower[v1.ConfigMap], secrets: ObjectFollower[v1.Secret]) -> None:
        self.config_maps, self.secrets = config_maps, secrets

    @classmethod
    def over(cls, api: Api, clock: Clock, tasks: asyncio.TaskGroup) -> PodObjects:
        """Followers whose watches live in ``tasks``."""
        return cls(
            ObjectFollower(api.of(v1.ConfigMap), "configmaps", clock, tasks),
            ObjectFollower(api.of(v1.Secret), "secrets", clock, tasks),
        )

    def hold(self, pod: v1.Pod, on_change: OnChange) -> None:
        """Follows everything ``pod`` refers to."""
        namespace, holder = pod.metadata.namespace, pod.metadata.uid
        for name in set(_config_map_names(pod)) - {""}:
            self.config_maps.hold(namespace, name, holder, on_change)
        for name in set(_secret_names(pod)) - {""}:
            self.secrets.hold(namespace, name, holder, on_change)

    def release(self, uid: str) -> None:
        """Ends everything that the pod holds."""
        self.config_maps.release(uid)
        self.secrets.release(uid)


def _config_map_names(pod: v1.Pod) -> Iterator[str]:
    for volume in pod.spec.volumes:
        if volume.config_map is not None:
            yield volume.config_map.name
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map is not None:
                yield source.config_map.name
    for container in _with_environment(pod):
        yield from (each.config_map_ref.name for each in container.env_from if each.config_map_ref)
        for variable in container.env:
            if variable.value_from is not None and variable.value_from.config_map_key_ref is not None:
                yield variable.value_from.config_map_key_ref.name


def _secret_names(pod: v1.Pod) -> Iterator[str]:
    yield from (each.name for each in pod.spec.image_pull_secrets)
    for volume in pod.spec.volumes:
        if volume.secret is not None:
            yield volume.secret.secret_name
        for source in volume.projected.sources if volume.projected else ():
            if source.secret is not None:
                yield source.secret.name
    for container in _with_environment(pod):
        yield from (each.secret_ref.name for each in container.env_from if each.secret_ref)
        for variable in container.env:
            if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
                yield variable.value_from.secret_key_ref.name


def _with_environment(pod: v1.Pod) -> tuple[v1.Container | v1.EphemeralContainer, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)
