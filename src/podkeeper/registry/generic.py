"""``ResourceVerbs`` for every resource: one short method per verb over the modules named after what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, method_not_allowed
from podkeeper.registry import applying, creating, deleting, patching, reading, updating
from podkeeper.registry.changing import Target
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
)

Tree = dict[str, Any]

_SCALE = "scale"
#: How many deletions of a collection share the store's commits.
_DELETED_TOGETHER = 100


class GenericVerbs:
    """Implements ``verbs.ResourceVerbs``."""

    def __init__(self, kind: ServedKind) -> None:
        self._kind = kind
        self._show = kind.view.item if kind.rendered else None

    def __repr__(self) -> str:
        return f"<GenericVerbs {self.resource.api_version} {self.resource.name}>"

    @property
    def resource(self) -> Resource:
        """The row of the catalogue."""
        return self._kind.resource

    @property
    def kind(self) -> ServedKind:
        """What the verbs work on."""
        return self._kind

    def count(self) -> int:
        """See ``ResourceVerbs.count``."""
        return len(self._kind.cache.items)

    async def get(self, namespace: str, name: str, resource_version: str | None = None, subresource: str = "") -> Item:
        """See ``ResourceVerbs.get``."""
        item = await reading.get(self._kind, namespace, name, resource_version)
        if subresource == _SCALE:
            return scale.read(self._kind, await self._kind.shown(item))
        return item if self._show is None else self._show(item)

    async def list(self, namespace: str, options: ListOptions) -> Listing:
        """See ``ResourceVerbs.list``."""
        return await reading.list_items(self._kind, namespace, options)

    async def watch(self, namespace: str, options: ListOptions, sink: Sink, closed: Callable[[], None]) -> Watch:
        """See ``ResourceVerbs.watch``."""
        return await reading.watch(self._kind, namespace, options, sink, closed)

    async def create(self, context: RequestContext, namespace: str, tree: Tree) -> Item:
        """See ``ResourceVerbs.create``."""
        return self._kind.show(await creating.create(self._kind, context, namespace, tree))

    async def update(
        self, context: RequestContext, namespace: str, name: str, tree: Tree, subresource: str = ""
    ) -> tuple[Item, bool]:
        """See ``ResourceVerbs.update``."""
        target = self._target(namespace, name, subresource, "update")
        if subresource == _SCALE:
            return await scale.update(self._kind, context, target, tree), False
        item, created = await updating.update(self._kind, context, target, tree)
        return self._kind.show(item), created

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
        """See ``ResourceVerbs.patch``; ``force`` means something to apply patches only."""
        target = self._target(namespace, name, subresource, "patch")
        if subresource == _SCALE:
            return await scale.patch(self._kind, context, target, patch, patch_type, force), False
        if patch_type is PatchType.APPLY:
            item, created = await applying.apply(self._kind, context, target, patch, force)
            return self._kind.show(item), created
        return self._kind.show(await patching.patch(self._kind, context, target, patch, patch_type)), False

    async def delete(self, context: RequestContext, namespace: str, name: str, options: DeleteOptions) -> Deleted:
        """See ``ResourceVerbs.delete``."""
        return self._shown(await deleting.delete(self._kind, context, namespace, name, options))

    async def delete_collection(
        self, context: RequestContext, namespace: str, selection: ListOptions, options: DeleteOptions
    ) -> Sequence[Deleted]:
        """See ``ResourceVerbs.delete_collection``. Objects that went away meanwhile are passed over."""
        listing = await reading.list_items(self._kind, namespace, selection)
        single = deleting.without_resource_version(options)
        outcomes: list[Deleted | None] = []
        for start in range(0, len(listing.items), _DELETED_TOGETHER):
            group = listing.items[start : start + _DELETED_TOGETHER]
            outcomes += await asyncio.gather(*(self._delete_present(context, item, single) for item in group))
        return [self._shown(outcome) for outcome in outcomes if outcome is not None]

    async def _delete_present(self, context: RequestContext, item: Item, options: DeleteOptions) -> Deleted | None:
        try:
            return await deleting.delete(self._kind, context, item.namespace, item.name, options)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def _shown(self, outcome: Deleted) -> Deleted:
        if self._show is None:
            return outcome
        return Deleted(self._show(outcome.item), outcome.gone)  # type: ignore[arg-type]

    def _target(self, namespace: str, name: str, subresource: str, verb: str) -> Target:
        known = self.resource.subresources.get(subresource) if subresource else None
        if subresource and (known is None or verb not in known.verbs):
            raise method_not_allowed(f"{self.resource.name}/{subresource}", self.resource.group, verb)
        return Target(namespace, name, subresource)
