"""Informers: a local copy of a resource with indexes, whose changes call handlers in order.

Objects are shared with everyone who reads the copy; structs are frozen, and trees must not be changed either. Their
managedFields are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from podkeeper.api.catalogue import Resource
from podkeeper.client.api import Api, ResourceClient, WatchEvent
from podkeeper.client.identity import ObjectKey, key_of, version_of, without_managed_fields
from podkeeper.client.reflector import Reflector, Selection
from podkeeper.foundation.clock import Clock, SystemClock

T = TypeVar("T")

#: Called on the loop with what was and what is; None for what was not or is no more. Must not block.
Handler = Callable[[T | None, T | None], None]
#: The values under which an index finds an object.
IndexFunction = Callable[[T], Iterable[str]]

NAMESPACE = "namespace"


class Lister(Generic[T]):
    """The local copy, for reading."""

    def __init__(self) -> None:
        self._objects: dict[ObjectKey, T] = {}
        self._functions: dict[str, IndexFunction[T]] = {NAMESPACE: lambda obj: (key_of(obj).namespace,)}
        self._indexes: dict[str, dict[str, dict[ObjectKey, T]]] = {NAMESPACE: {}}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def get(self, namespace: str, name: str) -> T | None:
        """The object of that name, None if there is none; ``namespace`` is empty for cluster-scoped ones."""
        return self._objects.get(ObjectKey(namespace, name))

    def list(self, namespace: str = "") -> Sequence[T]:
        """All objects, or those of one namespace."""
        return self.by_index(NAMESPACE, namespace) if namespace else list(self._objects.values())

    def by_index(self, index: str, value: str) -> Sequence[T]:
        """The objects that index function ``index`` files under ``value``. Raises KeyError for an unknown index."""
        return list(self._indexes[index].get(value, {}).values())

    def add_index(self, index: str, function: IndexFunction[T]) -> None:
        """Files every object, present or to come, under the values that ``function`` gives for it."""
        if index in self._functions:
            raise ValueError(f"there is an index {index!r} already")
        self._functions[index], self._indexes[index] = function, {}
        for key, obj in self._objects.items():
            self._file(index, key, obj)

    def put(self, key: ObjectKey, obj: T) -> T | None:
        """Stores ``obj`` and returns what it replaces. For the informer."""
        old = self.remove(key)
        self._objects[key] = obj
        for index in self._functions:
            self._file(index, key, obj)
        return old

    def remove(self, key: ObjectKey) -> T | None:
        """Forgets ``key`` and returns what it was. For the informer."""
        old = self._objects.pop(key, None)
        if old is not None:
            for index, function in self._functions.items():
                filed = self._indexes[index]
                for value in function(old):
                    if value in filed:
                        filed[value].pop(key, None)
                        if not filed[value]:
                            del filed[value]
        return old

    def keys(self) -> set[ObjectKey]:
        """The keys of all objects."""
        return set(self._objects)

    def _file(self, index: str, key: ObjectKey, obj: T) -> None:
        for value in self._functions[index](obj):
            self._indexes[index].setdefault(value, {})[key] = obj


class Informer(Generic[T]):
    """Follows one resource. Handlers see every change after the copy has it; an update to the same version is none."""

    def __init__(self, client: ResourceClient[T], clock: Clock, selection: Selection | None = None) -> None:
        self.lister: Lister[T] = Lister()
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        self._reflector: Reflector[T] = Reflector(client, self, clock, selection)

    def __repr__(self) -> str:
        return f"<Informer objects={len(self.lister)} {self._reflector!r}>"

    @property
    def synced(self) -> bool:
        """Whether the first list is in the copy."""
        return self._synced.is_set()

    @property
    def version(self) -> str:
        """The resourceVersion up to which the copy is current."""
        return self._reflector.version

    def add_handler(self, handler: Handler[T]) -> None:
        """Calls ``handler(old, new)`` for every change from now on, and at once for every object that is there."""
        self._handlers.append(handler)
        for obj in self.lister.list():
            handler(None, obj)

    def add_index(self, index: str, function: IndexFunction[T]) -> None:
        """See ``Lister.add_index``."""
        self.lister.add_index(index, function)

    async def wait_for_sync(self) -> None:
        """Returns once the first list is in the copy and its handlers were called."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follows the resource until cancelled. An exception of a handler ends it: that is a bug, not a state."""
        await self._reflector.run()

    def replace(self, objects: Sequence[T], version: str) -> None:
        """Called by the reflector with a complete list; what is missing in it was deleted unseen."""
        listed = {key_of(obj): obj for obj in objects}
        for key in self.lister.keys() - listed.keys():
            self._call(self.lister.remove(key), None)
        for key, obj in listed.items():
            self._put(key, obj)
        self._synced.set()

    def apply(self, event: WatchEvent[T]) -> None:
        """Called by the reflector with one change."""
        if event.object is None:
            return
        key = key_of(event.object)
        if event.type == "DELETED":
            if self.lister.remove(key) is not None:
                # As it was when it was deleted: newer than the copy's.
                self._call(event.object, None)
        else:
            self._put(key, event.object)

    def _put(self, key: ObjectKey, obj: T) -> None:
        obj = without_managed_fields(obj)
        old = self.lister.put(key, obj)
        if old is None or version_of(old) != version_of(obj):
            self._call(old, obj)

    def _call(self, old: T | None, new: T | None) -> None:
        for handler in self._handlers:
            handler(old, new)


class InformerFactory:
    """One informer per resource and selection, shared by all who ask. ``run`` runs them, also those asked for later."""

    def __init__(self, api: Api, clock: Clock | None = None) -> None:
        self._api, self._clock = api, clock or SystemClock()
        self._informers: dict[tuple[Any, Selection], Informer[Any]] = {}
        self._waiting: list[Informer[Any]] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Informer[Any], asyncio.Task[None]] = {}

    def informer(self, kind: type[T], selection: Selection | None = None) -> Informer[T]:
        """The informer of a built-in kind."""
        return self._shared(kind, selection or Selection(), lambda: self._api.of(kind))

    def informer_of(self, resource: Resource, selection: Selection | None = None) -> Informer[dict[str, Any]]:
        """The informer of any resource, with plain trees."""
        name = (resource.group, resource.version, resource.name)
        return self._shared(name, selection or Selection(), lambda: self._api.of_resource(resource))

    def informer_over(self, client: ResourceClient[T]) -> Informer[T]:
        """An informer of its own over a client; ``release`` ends it."""
        informer: Informer[T] = Informer(client, self._clock)
        self._start(informer)
        return informer

    def release(self, informer: Informer[Any]) -> None:
        """Ends an informer that ``informer_over`` gave."""
        if informer in self._waiting:
            self._waiting.remove(informer)
        task = self._running.pop(informer, None)
        if task is not None:
            task.cancel()

    async def wait_for_sync(self) -> None:
        """Returns once every informer that was asked for so far has its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_for_sync()

    async def run(self) -> None:
        """Runs every informer until cancelled; the first that fails ends all."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                waiting, self._waiting = self._waiting, []
                for informer in waiting:
                    self._start(informer)
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                self._running.clear()

    def _shared(self, name: Any, selection: Selection, client: Callable[[], ResourceClient[Any]]) -> Informer[Any]:
        informer = self._informers.get((name, selection))
        if informer is None:
            informer = self._informers[name, selection] = Informer(client(), self._clock, selection)
            self._start(informer)
        return informer

    def _start(self, informer: Informer[Any]) -> None:
        if self._tasks is None:
            self._waiting.append(informer)
        else:
            self._running[informer] = self._tasks.create_task(informer.run(), name=repr(informer))
