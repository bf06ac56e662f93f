"""The one shape of admission plugins: what a plugin is asked about, and the two questions."""

from __future__ import annotations

from msgspec import Struct

from podkeeper.api import errors
from podkeeper.api.errors import ApiError
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes, Operation


class Interest(Struct, frozen=True):
    """What a plugin wants to see: operations on resources, each ``group/plural`` (``/pods``) or with ``/subresource``.

    No resources: all of them, without subresources unless ``everything`` is wanted."""

    operations: frozenset[Operation]
    resources: frozenset[str] = frozenset()
    everything: bool = False

    def covers(self, attributes: Attributes) -> bool:
        """The plugin is to be asked about this write."""
        if attributes.operation not in self.operations:
            return False
        if self.everything:
            return True
        if not self.resources:
            return not attributes.subresource
        return resource_key(attributes) in self.resources


def resource_key(attributes: Attributes) -> str:
    """``/pods``, ``/pods/status``, ``apps/deployments``."""
    key = f"{attributes.resource.group}/{attributes.resource.name}"
    return f"{key}/{attributes.subresource}" if attributes.subresource else key


#: All operations on all resources, subresources too.
EVERYTHING = Interest(frozenset(Operation), everything=True)


def interest(operations: str, *resources: str) -> Interest:
    """``interest("CREATE UPDATE", "/pods")``."""
    return Interest(frozenset(Operation(name) for name in operations.split()), frozenset(resources))


class Plugin:
    """Base of all plugins. A subclass overrides ``mutate``, ``validate`` or both; both raise ApiError to refuse."""

    interest: Interest = Interest(frozenset())

    def __init__(self, live: LiveObjects) -> None:
        self.live = live

    @property
    def name(self) -> str:
        """Upstream's name of the plugin."""
        return type(self).__name__

    async def mutate(self, attributes: Attributes) -> None:
        """May change ``attributes.tree`` in place."""

    async def validate(self, attributes: Attributes) -> None:
        """Must not change anything."""


def forbidden(attributes: Attributes, why: str) -> ApiError:
    """403 as upstream's admission.NewForbidden words it."""
    metadata = (attributes.tree or {}).get("metadata") or {}
    name = attributes.name or metadata.get("name") or metadata.get("generateName") or "Unknown"
    return errors.forbidden(attributes.resource.name, attributes.resource.group, name, why)
