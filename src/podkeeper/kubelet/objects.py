"""ConfigMaps and Secrets that pods refer to: one watch per object that is in use, shared by all who use it.

``hold`` begins to follow an object and ``release`` ends it; in between ``read`` answers from memory and the holder's
callback is called when the object appears, changes or goes. Objects marked immutable are read once and not watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError, not_found
from podkeeper.client.api import Api, ConnectionFailed, ResourceClient, WatchEvent
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock

T = TypeVar("T", v1.ConfigMap, v1.Secret)
OnChange = Callable[[], None]

ConfigMapKey = tuple[str, str]


@dataclass(slots=True)
class _Entry(Generic[T]):
    """``loaded`` is set once the object's presence or absence is known."""

    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    object: T | None = None
    error: ApiError | ConnectionFailed | None = None
    holders: dict[str, OnChange] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class ObjectFollower(Generic[T]):
    """Follows objects of one kind."""

    def __init__(self, client: ResourceClient[T], resource: str, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._client: ResourceClient[T] = client
        self._resource, self._clock, self._tasks = resource, clock, tasks
        self._entries: dict[tuple[str, str], _Entry[T]] = {}
        self._backoff = BackOff(0.5, 30.0)

    def hold(self, namespace: str, name: str, holder: str, on_change: OnChange) -> None:
        """Follows an object for ``holder`` (a pod's UID); again for the same holder changes nothing."""
        key = (namespace, name)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            entry.task = self._tasks.create_task(self._follow(key, entry), name=f"follow {self._resource} {name}")
        entry.holders.setdefault(holder, on_change)

    def release(self, holder: str) -> None:
        """Ends everything that ``holder`` holds; what nobody holds any more is no longer followed."""
        for key in [key for key, entry in self._entries.items() if entry.holders.pop(holder, None) is not None]:
            if not self._entries[key].holders:
                task = self._entries.pop(key).task
                if task is not None:
                    task.cancel()

    async def read(self, namespace: str, name: str) -> T:
        """The object as last seen. Raises ApiError (404 when it does not exist) or ConnectionFailed."""
        entry = self._entries[namespace, name]
        await entry.loaded.wait()
        if entry.object is not None:
            return entry.object
        raise entry.error or not_found(self._resource, "", name)

    async def _follow(self, key: tuple[str, str], entry: _Entry[T]) -> None:
        while True:
            try:
                version = await self._load(key, entry)
                if entry.object is not None and entry.object.immutable:
                    return
                await self._watch(key, entry, version)
                self._backoff.reset(key)
            except (ApiError, ConnectionFailed) as error:
                if entry.object is None and not (isinstance(error, ApiError) and error.code == 410):
                    entry.error = error
                    entry.loaded.set()
                await self._clock.sleep(self._backoff.next_delay(key))

    async def _load(self, key: tuple[str, str], entry: _Entry[T]) -> str:
        namespace, name = key
        found = await self._client.list(namespace, field_selector=f"metadata.name={name}")
        present = found.items[0] if found.items else None
        self._replace(entry, present)
        return found.resource_version

    async def _watch(self, key: tuple[str, str], entry: _Entry[T], version: str) -> None:
        namespace, name = key
        events = self._client.watch(namespace, resource_version=version, field_selector=f"metadata.name={name}")
        async for event in events:
            self._apply(entry, event)

    def _apply(self, entry: _Entry[T], event: WatchEvent[T]) -> None:
        if event.type in ("ADDED", "MODIFIED"):
            self._replace(entry, event.object)
        elif event.type == "DELETED":
            self._replace(entry, None)

    def _replace(self, entry: _Entry[T], present: T | None) -> None:
        before = entry.object
        entry.object, entry.error = present, None
        first = not entry.loaded.is_set()
        entry.loaded.set()
        same = before is present or (
            before is not None and present is not None and _version(before) == _version(present)
        )
        if not first and not same:
            for on_change in list(entry.holders.values()):
                on_change()


def _version(obj: v1.ConfigMap | v1.Secret) -> str:
    version: str = obj.metadata.resource_version
    return version


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
        for name in config_map_names(pod):
            self.config_maps.hold(namespace, name, holder, on_change)
        for name in secret_names(pod):
            self.secrets.hold(namespace, name, holder, on_change)

    def release(self, uid: str) -> None:
        """Ends everything that the pod holds."""
        self.config_maps.release(uid)
        self.secrets.release(uid)


def config_map_names(pod: v1.Pod) -> set[str]:
    """Every ConfigMap that the pod's volumes and environments name."""
    names: set[str] = set()
    for volume in pod.spec.volumes:
        if volume.config_map is not None:
            names.add(volume.config_map.name)
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map is not None:
                names.add(source.config_map.name)
    for container in _with_environment(pod):
        names |= {each.config_map_ref.name for each in container.env_from if each.config_map_ref}
        for variable in container.env:
            if variable.value_from is not None and variable.value_from.config_map_key_ref is not None:
                names.add(variable.value_from.config_map_key_ref.name)
    return names - {""}


def secret_names(pod: v1.Pod) -> set[str]:
    """Every Secret that the pod's volumes, environments and image pulls name."""
    names = {each.name for each in pod.spec.image_pull_secrets}
    for volume in pod.spec.volumes:
        if volume.secret is not None:
            names.add(volume.secret.secret_name)
        for source in volume.projected.sources if volume.projected else ():
            if source.secret is not None:
                names.add(source.secret.name)
    for container in _with_environment(pod):
        names |= {each.secret_ref.name for each in container.env_from if each.secret_ref}
        for variable in container.env:
            if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
                names.add(variable.value_from.secret_key_ref.name)
    return names - {""}


def _with_environment(pod: v1.Pod) -> tuple[v1.Container | v1.EphemeralContainer, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)
