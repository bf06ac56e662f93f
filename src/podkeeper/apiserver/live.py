"""Reading live objects from the registry inside the API server: what authentication, authorization and admission look
at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from podkeeper.api.errors import ApiError
from podkeeper.registry.verbs import ListOptions, Registry, ResourceVerbs, Watch, WatchEvent


class Lookup(Protocol):
    """One object by name."""

    async def get(self, group: str, resource: str, namespace: str, name: str) -> dict[str, Any] | None: ...

    async def list(
        self, group: str, resource: str, namespace: str = "", field_selector: str = ""
    ) -> Sequence[dict[str, Any]]: ...


class LiveObjects:
    """The objects of built-in resources in version v1, as they are now. Trees must not be changed."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._followed: dict[tuple[str, str], Followed] = {}

    def verbs(self, group: str, resource: str) -> ResourceVerbs:
        """The verbs of a resource that every server has."""
        verbs = self.registry.verbs(group, "v1", resource)
        if verbs is None:
            raise LookupError(f"the registry does not serve {resource}.{group or 'core'}")
        return verbs

    async def get(self, group: str, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        """The object's tree, None if there is none."""
        try:
            item = await self.verbs(group, resource).get(namespace, name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return item.tree()

    async def list(
        self, group: str, resource: str, namespace: str = "", field_selector: str = ""
    ) -> Sequence[dict[str, Any]]:
        """The trees of all objects that match."""
        options = ListOptions(field_selector=field_selector)
        listing = await self.verbs(group, resource).list(namespace, options)
        return [item.tree() for item in listing.items]

    async def follow(self, group: str, resource: str, sink: Callable[[Sequence[WatchEvent]], None]) -> Watch:
        """Sends what there is and every change after it to ``sink``."""
        return await self.verbs(group, resource).watch("", ListOptions(), sink, _ignore_end)

    async def followed(self, group: str, resource: str) -> Followed:
        """All objects of a resource that has few, kept current from the first call on; none of one that is switched
        off."""
        found = self._followed.get((group, resource))
        if found is None:
            if self.registry.verbs(group, "v1", resource) is None:
                return Followed()
            found = self._followed[group, resource] = Followed()
            try:
                await self.follow(group, resource, found.take)
            except BaseException:
                del self._followed[group, resource]
                raise
        return found

    async def wait_for(self, resource: str, namespace: str, name: str, seconds: float) -> dict[str, Any] | None:
        """A core object as soon as it is there; None if it does not come in time."""
        appeared = asyncio.Event()

        def take(events: Sequence[WatchEvent]) -> None:
            if any(event.type != "DELETED" and event.item is not None for event in events):
                appeared.set()

        options = ListOptions(field_selector=f"metadata.name={name}")
        watch = await self.verbs("", resource).watch(namespace, options, take, _ignore_end)
        try:
            async with asyncio.timeout(seconds):
                await appeared.wait()
        except TimeoutError:
            return None
        finally:
            watch.stop()
        return await self.get("", resource, namespace, name)


class Followed:
    """The present objects of one resource, by namespace and name. Trees must not be changed.

    ``changes`` counts, so that who reads something out of them knows when to read again."""

    def __init__(self) -> None:
        self.changes = 0
        self._trees: dict[str, dict[str, dict[str, Any]]] = {}

    def take(self, events: Sequence[WatchEvent]) -> None:
        """Applies changes."""
        self.changes += len(events)
        for event in events:
            if event.item is None:
                continue
            if event.type == "DELETED":
                self._trees.get(event.item.namespace, {}).pop(event.item.name, None)
            else:
                self._trees.setdefault(event.item.namespace, {})[event.item.name] = event.item.tree()

    def get(self, name: str, namespace: str = "") -> dict[str, Any] | None:
        """One object."""
        return self._trees.get(namespace, {}).get(name)

    def all(self, namespace: str = "") -> Sequence[dict[str, Any]]:
        """Every object of a namespace (of the cluster for cluster-scoped resources), by name."""
        trees = self._trees.get(namespace)
        return [trees[name] for name in sorted(trees)] if trees else ()


def _ignore_end() -> None:
    """The registry ends a watch only when the store closes, and the server with it."""
