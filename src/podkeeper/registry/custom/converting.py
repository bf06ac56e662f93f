"""The verbs of a custom resource whose definition has a conversion webhook: they wait for conversions where they must.

What a write starts from, what it stores and what it answers is converted as it comes to that. A list that lacks a
conversion ends; the conversion is made, and it begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from podkeeper.api.errors import ApiError
from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.cache.watching import RenderedEvent, replay
from podkeeper.registry.cache.window import CacheEvent
from podkeeper.registry.custom.conversion import Conversions, Converters, NeedsConversion
from podkeeper.registry.custom.view import CustomView
from podkeeper.registry.generic import GenericVerbs
from podkeeper.registry.item import StoredItem
from podkeeper.registry.reading import selection_of
from podkeeper.registry.served import ServedKind
from podkeeper.registry.subresources import scale
from podkeeper.registry.verbs import (
    Deleted,
    DeleteOptions,
    Item,
    Listing,
    ListOptions,
    PatchType,
    RequestContext,
    Sink,
    Watch,
    WatchEvent,
)

Tree = dict[str, Any]
T = TypeVar("T")

_SCALE = "scale"


class _Unconverted(ServedKind, frozen=True):
    """A kind that shows writers what they have stored."""

    def show(self, item: StoredItem) -> Item:
        """The stored item itself."""
        return item


class ConvertingVerbs(GenericVerbs):
    """Implements ``verbs.ResourceVerbs``."""

    def __init__(self, kind: ServedKind, view: CustomView, conversions: Conversions) -> None:
        super().__init__(_Unconverted(*(getattr(kind, each) for each in kind.__struct_fields__)))
        self._show = None
        self._reader = GenericVerbs(kind)
        self._view, self._conversions = view, conversions

    async def get(self, namespace: str, name: str, resource_version: str | None = None, subresource: str = "") -> Item:
        """See ``ResourceVerbs.get``."""
        stored: Any = await super().get(namespace, name, resource_version)
        item = await self._kind.shown(stored)
        return scale.read(self._kind, item) if subresource == _SCALE else item

    async def list(self, namespace: str, options: ListOptions) -> Listing:
        """See ``ResourceVerbs.list``: everything there is, is converted in one go."""

        async def attempt() -> Listing:
            await self._view.prepare(self._present(namespace))
            return await self._reader.list(namespace, options)

        return await self._with_conversions(attempt)

    async def watch(self, namespace: str, options: ListOptions, sink: Sink, closed: Callable[[], None]) -> Watch:
        """See ``ResourceVerbs.watch``; events wait for their conversions, in order."""
        raw = GenericVerbs(replace(self._kind, view=_AsStored(self._view)))
        selection = selection_of(self._kind, namespace, options)
        watch = _ConvertingWatch(self._view, selection, sink, closed)
        if selection.shown is not None:  # whom an event concerns is known when it is converted
            options = replace(options, label_selector="", field_selector="")
        watch.inner = await raw.watch(namespace, options, watch.note, watch.end)
        watch.start(self._kind.backing.converters)
        return watch

    async def create(self, context: RequestContext, namespace: str, tree: Tree) -> Item:
        """See ``ResourceVerbs.create``."""
        body = msgspec.json.encode(tree)

        async def attempt() -> Any:
            return await GenericVerbs.create(self, context, namespace, msgspec.json.decode(body))

        return await self._kind.shown(await self._write(context, attempt))

    async def update(
        self, context: RequestContext, namespace: str, name: str, tree: Tree, subresource: str = ""
    ) -> tuple[Item, bool]:
        """See ``ResourceVerbs.update``."""
        body = msgspec.json.encode(tree)

        async def attempt() -> tuple[Any, bool]:
            return await GenericVerbs.update(self, context, namespace, name, msgspec.json.decode(body), subresource)

        item, created = await self._write(context, attempt)
        return (item if subresource == _SCALE else await self._kind.shown(item)), created

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
        """See ``ResourceVerbs.patch``."""
        body = msgspec.json.encode(patch)

        async def attempt() -> tuple[Any, bool]:
            fresh = msgspec.json.decode(body)
            return await GenericVerbs.patch(self, context, namespace, name, fresh, patch_type, subresource, force)

        item, created = await self._write(context, attempt)
        return (item if subresource == _SCALE else await self._kind.shown(item)), created

    async def delete(self, context: RequestContext, namespace: str, name: str, options: DeleteOptions) -> Deleted:
        """See ``ResourceVerbs.delete``."""
        deleted: Any = await GenericVerbs.delete(self, context, namespace, name, options)
        return Deleted(await self._kind.shown(deleted.item), deleted.gone)

    async def delete_collection(
        self, context: RequestContext, namespace: str, selection: ListOptions, options: DeleteOptions
    ) -> Sequence[Deleted]:
        """See ``ResourceVerbs.delete_collection``."""
        await self._view.prepare(self._present(namespace))
        deleted: Any = await GenericVerbs.delete_collection(self, context, namespace, selection, options)
        return [Deleted(await self._kind.shown(each.item), each.gone) for each in deleted]

    async def _write(self, context: RequestContext, attempt: Callable[[], Awaitable[T]]) -> T:
        """A write, which may find that it needs the managers' fields of another version; nobody has been asked about
        it by then, and what it warned of is said once."""
        warned = len(context.warnings)

        async def again() -> T:
            del context.warnings[warned:]
            return await attempt()

        return await self._with_conversions(again)

    async def _with_conversions(self, attempt: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await attempt()
            except NeedsConversion as need:
                await self._conversions.supply(need.api_version, [need.tree])

    def _present(self, namespace: str) -> Sequence[StoredItem]:
        return [each for each in self._kind.cache.items.values() if namespace in ("", each.namespace)]


class _AsStored:
    """A view whose items are the stored ones, and whose bookmarks are the version's."""

    def __init__(self, view: CustomView) -> None:
        self.api_version, self.kind = view.api_version, view.kind

    def item(self, stored: StoredItem) -> Item:
        """The very item."""
        return stored


class _ConvertingWatch:
    """Implements ``verbs.Watch``: between a watch of stored objects and its sink."""

    def __init__(self, view: CustomView, selection: Selection, sink: Sink, closed: Callable[[], None]) -> None:
        self.inner: Watch | None = None
        self._view, self._selection, self._sink, self._closed = view, selection, sink, closed
        self._events: asyncio.Queue[Sequence[WatchEvent] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self, converters: Converters) -> None:
        """Begins to hand on events."""
        if converters.tasks is None:
            raise ApiError(503, "ServiceUnavailable", "watches of converted objects begin with the registry")
        self._task = converters.tasks.create_task(self._hand_on(), name=f"conversion for a watch of {self._view.kind}")

    def note(self, events: Sequence[WatchEvent]) -> None:
        """The sink of the inner watch."""
        self._events.put_nowait(events)

    def end(self) -> None:
        """The inner watch has ended."""
        self._events.put_nowait(None)

    def stop(self) -> None:
        """See ``verbs.Watch.stop``."""
        if self.inner is not None:
            self.inner.stop()
        if self._task is not None:
            self._task.cancel()

    async def _hand_on(self) -> None:
        with suppress(ApiError):  # a watch that cannot be converted ends; its client lists, and is told why
            while (events := await self._events.get()) is not None:
                await self._view.prepare([each.item for each in events if isinstance(each.item, StoredItem)])
                shown = [each for event in events for each in await self._shown(event)]
                if shown:
                    self._sink(shown)
        if self.inner is not None:
            self.inner.stop()
        self._closed()

    async def _shown(self, event: WatchEvent) -> Sequence[WatchEvent]:
        """What is told of a change; nothing where it does not concern the selection. Raises ApiError 500."""
        if not isinstance(event.item, StoredItem):
            return [event]
        if self._selection.shown is None or not isinstance(event, RenderedEvent):
            return [RenderedEvent(event.type, self._view.item(event.item))]
        change = CacheEvent(event.type, event.item, event.previous)
        while True:
            try:
                return replay(self._view, self._selection, [change])
            except NeedsConversion as need:
                await self._view.supply([need.tree])
