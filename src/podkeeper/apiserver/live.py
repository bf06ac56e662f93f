"""Reading live objects from the registry inside the API server: what authentication, authorization and admission look
at."""

from __future__ import annotations

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


def _ignore_end() -> None:
    """The registry ends a watch only when the store closes, and the server with it."""
