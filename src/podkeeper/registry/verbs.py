"""What the API server asks of the registry: one ``ResourceVerbs`` per resource, found by group, version and plural.

Everything that leaves here is rendered: ``Item.json`` are the bytes a reader gets, shared by all readers, never
changed. Errors are ``api.errors.ApiError``, whatever the store or a strategy raised underneath.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field

from podkeeper.api.catalogue import Resource
from podkeeper.api.user import UserInfo
from podkeeper.foundation.exposition import Family

if TYPE_CHECKING:
    from podkeeper.registry.custom.conversion import Converter


class PatchType(Enum):
    """Patch formats by media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class FieldValidation(Enum):
    """What happens to unknown and duplicate fields."""

    IGNORE = "Ignore"
    WARN = "Warn"
    STRICT = "Strict"


class RequestContext(Struct):
    """Who writes and how. ``warnings`` collects what becomes Warning headers.

    ``require_create`` raises ApiError 403 unless the user may create the object that an update or patch is about.
    ``complaints`` are those that strict decoding has of a custom object's text, which the tree does not show.
    """

    user: UserInfo
    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = FieldValidation.WARN
    user_agent: str = ""
    warnings: list[str] = field(default_factory=list)
    require_create: Callable[[], Awaitable[None]] | None = None
    complaints: Sequence[str] = ()


class Item(Protocol):
    """One stored object at one revision, as the watch cache holds it. Immutable."""

    @property
    def key(self) -> str: ...

    @property
    def namespace(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> int: ...

    @property
    def json(self) -> bytes:
        """The object as JSON with its resourceVersion."""
        ...

    @property
    def type(self) -> tuple[str, str]:
        """apiVersion and kind."""
        ...

    @property
    def message(self) -> bytes:
        """The object in protobuf, without the envelope: made when first asked for, then kept as ``json`` is.

        Raises ProtobufError for a kind that protobuf does not know."""
        ...

    def tree(self) -> dict[str, Any]:
        """The object as a plain tree, decoded once; callers must not change it."""
        ...


class Listing(Struct, frozen=True):
    """An answer to LIST. ``continuation`` and ``remaining`` (None: unknown or nothing) belong in the list's metadata.

    ``json`` is the whole List object, joined once and kept while nothing changed. ``renderings`` are other bodies of
    the same list by media type: who has made one may leave it there for the next reader.
    """

    items: Sequence[Item]
    revision: int
    continuation: str
    remaining: int | None
    json: bytes
    renderings: dict[str, bytes] = field(default_factory=dict)


class ListOptions(Struct, frozen=True):
    """The query parameters that LIST, WATCH and DELETECOLLECTION share; resource_version None means not given."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continuation: str = ""
    resource_version: str | None = None
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    allow_bookmarks: bool = False
    timeout: float = 0.0


class DeleteOptions(Struct, frozen=True):
    """The body (or query) of DELETE. ``propagation`` is Foreground, Background, Orphan or empty for the default."""

    grace_period: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    propagation: str = ""


class WatchEvent(Protocol):
    """One event for watchers. ``frame`` is ``{"type":...,"object":...}`` and a newline, ``protobuf`` the same with its
    length before it; each is built once for all watchers."""

    @property
    def type(self) -> str:
        """ADDED, MODIFIED, DELETED or BOOKMARK."""
        ...

    @property
    def item(self) -> Item | None: ...

    @property
    def frame(self) -> bytes: ...

    @property
    def protobuf(self) -> bytes: ...


class Watch(Protocol):
    """A running watch. The sink that was given gets events in order, on the event loop, until ``stop``."""

    def stop(self) -> None:
        """Safe to call twice; the sink is not called afterwards."""
        ...


#: Gets one batch of events. A sink must not block; a sink that cannot keep up stops its watch.
Sink = Callable[[Sequence[WatchEvent]], None]


class Deleted(Struct, frozen=True):
    """Outcome of DELETE. ``item`` is the object as it was (gone) or as it is now (waiting for finalizers or grace);
    ``gone`` tells which. The server answers a Status for most kinds and the object for those upstream does."""

    item: Item
    gone: bool


class ResourceVerbs(Protocol):
    """The verbs of one resource in one served version. A body is the decoded JSON tree, which the verb may change."""

    @property
    def resource(self) -> Resource: ...

    def count(self) -> int:
        """How many objects there are."""
        ...

    async def get(self, namespace: str, name: str, resource_version: str | None = None, subresource: str = "") -> Item:
        """``subresource`` "scale" gives the object's Scale; every other one is a face of the object itself."""
        ...

    async def list(self, namespace: str, options: ListOptions) -> Listing: ...

    async def watch(self, namespace: str, options: ListOptions, sink: Sink, closed: Callable[[], None]) -> Watch:
        """Initial events (if asked for) and everything after. ``closed`` is called when the cache ends the watch.

        The sink may be called before this returns. Raises ApiError 410 when the revision to resume from is gone
        (upstream sends that as an ERROR event in a 200 answer), 504 when it has not been written yet.
        """
        ...

    async def create(self, context: RequestContext, namespace: str, tree: dict[str, Any]) -> Item: ...

    async def update(
        self, context: RequestContext, namespace: str, name: str, tree: dict[str, Any], subresource: str = ""
    ) -> tuple[Item, bool]:
        """The stored object, and whether it was created by this update (where the kind allows that)."""
        ...

    async def patch(
        self,
        context: RequestContext,
        namespace: str,
        name: str,
        patch: Any,
        patch_type: PatchType,
        subresource: str = "",
        force: bool = False,
    ) -> tuple[Item, bool]:
        """A read-modify-append loop: never 409 unless the patch itself names a resourceVersion or uid."""
        ...

    async def delete(self, context: RequestContext, namespace: str, name: str, options: DeleteOptions) -> Deleted: ...

    async def delete_collection(
        self, context: RequestContext, namespace: str, selection: ListOptions, options: DeleteOptions
    ) -> Sequence[Deleted]: ...


class Registry(Protocol):
    """All resources of one API server."""

    def verbs(self, group: str, version: str, resource: str) -> ResourceVerbs | None: ...

    def resources(self) -> Mapping[tuple[str, str, str], Resource]:
        """Everything served now, by (group, version, plural), custom resources included."""
        ...

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the store and of the caches over it."""
        ...

    def connect_converter(self, converter: Converter) -> None:
        """Who converts custom objects for definitions with a webhook, from now on."""
        ...

    async def check_store(self) -> str:
        """What is wrong with the store; nothing if it answers."""
        ...

    async def check_caches(self) -> str:
        """Why reads do not show what is stored; nothing if they do."""
        ...

    async def bind_pod(self, context: RequestContext, namespace: str, name: str, binding: dict[str, Any]) -> None:
        """pods/binding: sets the node name and PodScheduled once."""
        ...

    async def evict_pod(self, context: RequestContext, namespace: str, name: str, eviction: dict[str, Any]) -> None:
        """pods/eviction: a delete that respects disruption budgets (429)."""
        ...
