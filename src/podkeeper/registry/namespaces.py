"""Whether a namespace can take new objects. Source: upstream's NamespaceLifecycle admission."""

from __future__ import annotations

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, Cause, not_found
from podkeeper.registry.cache.mirror import Mirror
from podkeeper.registry.cache.resource import ResourceCache


class Namespaces:
    """Looks namespaces up in their cache."""

    def __init__(self, mirror: Mirror, cache: ResourceCache) -> None:
        self._mirror, self._cache = mirror, cache

    async def check_create(self, resource: Resource, namespace: str, name: str) -> None:
        """Raises 404 when the namespace is not there, 403 when it is going away."""
        key = self._cache.prefix + namespace
        item = self._cache.items.get(key)
        if item is None:
            await self._mirror.wait_until_fresh()
            item = self._cache.items.get(key)
        if item is None:
            raise not_found("namespaces", "", namespace)
        if item.head.fields.get("status.phase") == "Terminating":
            raise _terminating(resource, namespace, name)


def _terminating(resource: Resource, namespace: str, name: str) -> ApiError:
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return ApiError(
        403,
        "Forbidden",
        f'{resource.qualified_name} "{name}" is forbidden: {why}',
        group=resource.group,
        kind=resource.name,
        name=name,
        causes=(Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"),),
    )
