"""Server-side apply: a configuration is merged into the newest state, or makes the object when that is not there."""

from __future__ import annotations

from typing import Any

from podkeeper.api import shapes
from podkeeper.api.errors import ApiError, bad_request, conflict
from podkeeper.registry import creating
from podkeeper.registry.changing import Face, Make, Proposal, Target, change, check_identity
from podkeeper.registry.documents import blaming_types, typed
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import Item, RequestContext

Tree = dict[str, Any]


async def apply(
    kind: ServedKind, context: RequestContext, target: Target, config: Any, force: bool
) -> tuple[StoredItem, bool]:
    """Server-side apply. Returns the object and whether it was created. Raises ApiError 409 for conflicts."""
    config = _configuration(kind, context, target, config)
    manager, writer = kind.field_managers.of(target.subresource), kind.field_managers.writer(context)
    applied = proposing(kind, context, target, config, force)
    while True:
        try:
            return await change(kind, context, target, applied), False
        except ApiError as error:
            if error.code != 404 or target.subresource:
                raise
        try:
            return await _create(kind, context, target, manager.apply(None, config, writer, force)), True
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def proposing(
    kind: ServedKind, context: RequestContext, target: Target, config: Tree, force: bool, face: Face | None = None
) -> Make:
    """Makes the new state of a present object by merging a configuration into it."""
    manager, writer = kind.field_managers.of(target.subresource), kind.field_managers.writer(context)

    def applied(current: Item) -> Proposal:
        return Proposal(manager.apply(current.tree(), config, writer, force), applied=True, face=face)

    return applied


def _configuration(kind: ServedKind, context: RequestContext, target: Target, config: Any) -> Tree:
    """The applied tree with its namespace, types checked. It may leave the name to the URL. Raises 400."""
    if not isinstance(config, dict):
        raise bad_request("error decoding YAML: the patch is not an object")
    tree: Tree = config if kind.custom is not None else shapes.without_nulls(kind.served_class, config)
    with blaming_types(kind, {"apiVersion": kind.resource.api_version} | tree):
        metadata = tree["metadata"] = dict(tree.get("metadata") or {})
        nameless = not metadata.get("name")
        if nameless:
            metadata["name"] = target.name
        check_identity(kind, metadata, target)
        if nameless:
            del metadata["name"]  # what is there has its name; a new object must be given one
    typed(kind.resource, kind.served_class, {"apiVersion": kind.resource.api_version} | tree)
    return tree


async def _create(kind: ServedKind, context: RequestContext, target: Target, tree: Tree) -> StoredItem:
    check_identity(kind, tree["metadata"], target)
    uid = tree["metadata"].get("uid")
    if uid:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(kind.resource.name, kind.resource.group, target.name, why)
    if context.require_create is not None:
        await context.require_create()
    return await creating.create(kind, context, target.namespace, tree, applied=True)
