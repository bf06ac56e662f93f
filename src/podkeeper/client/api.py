"""The client's face: typed access to every resource, over any transport.

``Api.of(v1.Pod)`` gives a ``ResourceClient[v1.Pod]``; errors are ``api.errors.ApiError`` as the server sent them, and
``ConnectionFailed`` when no answer came. Nothing here retries a write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.foundation.exposition import Family

T = TypeVar("T")


class ConnectionFailed(Exception):
    """No (complete) answer came: refused, reset, timed out. Whether a write happened is unknown."""


class PatchKind(Enum):
    """Patch formats by media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class ObjectList(Struct, Generic[T], frozen=True):
    """One LIST answer; ``continuation`` is empty on the last page."""

    items: Sequence[T]
    resource_version: str
    continuation: str = ""


class WatchEvent(Struct, Generic[T], frozen=True):
    """ADDED, MODIFIED or DELETED with the object; BOOKMARK with ``object`` None and only the version."""

    type: str
    object: T | None
    resource_version: str


class ResourceClient(Protocol[T]):
    """One resource. ``namespace`` is empty for cluster-scoped resources and for all namespaces in list and watch."""

    async def get(self, name: str, namespace: str = "") -> T: ...

    async def list(
        self,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continuation: str = "",
        resource_version: str | None = None,
    ) -> ObjectList[T]: ...

    def watch(
        self,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout: float = 0.0,
    ) -> AsyncIterator[WatchEvent[T]]:
        """Events after ``resource_version``, bookmarks included. Raises ApiError 410 when it is gone, and
        ConnectionFailed when the connection breaks; ends when the server ends the watch in good order."""
        ...

    async def create(self, obj: T, namespace: str = "") -> T: ...

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """Name, namespace and resourceVersion are the object's own."""
        ...

    async def patch(
        self,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
    ) -> T: ...

    async def delete(
        self,
        name: str,
        namespace: str = "",
        *,
        grace_period: int | None = None,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
    ) -> None:
        """Raises ApiError 404 when it is gone, 409 when a precondition does not hold."""
        ...

    async def connect_create(self, name: str, subresource: str, body: Any, namespace: str = "") -> Any:
        """POST to a subresource (binding, eviction, token) with plain trees in and out."""
        ...


class Api(Protocol):
    """Everything one set of credentials may do."""

    def of(self, kind: type[T]) -> ResourceClient[T]:
        """The client of a built-in kind, found by its struct class."""
        ...

    def of_resource(self, resource: Resource) -> ResourceClient[dict[str, Any]]:
        """The client of any resource, custom ones included, with plain trees as objects."""
        ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One raw request; any status is an answer. Raises ConnectionFailed."""
        ...

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the requests."""
        ...

    async def close(self) -> None: ...
