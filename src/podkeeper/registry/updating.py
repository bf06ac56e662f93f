"""UPDATE: replaces an object, or one side of it (status and other subresources); creates it where the kind allows."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api.errors import Cause, conflict, not_found
from podkeeper.registry import creating, owner_references
from podkeeper.registry.changing import Proposal, Target, change, check_identity
from podkeeper.registry.creating import refuse
from podkeeper.registry.documents import check_kind
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import RequestContext

Tree = dict[str, Any]


async def update(kind: ServedKind, context: RequestContext, target: Target, tree: Tree) -> tuple[StoredItem, bool]:
    """PUT. Raises ApiError: 400, 404, 409, 422. Returns the object and whether it was created."""
    check_kind(kind.resource, tree)
    metadata = tree["metadata"] = tree["metadata"] or {}
    check_identity(kind, metadata, target)
    if await kind.present(target.namespace, target.name) is None:
        return await _create_instead(kind, context, target, tree)
    if not metadata.get("resourceVersion") and not kind.strategy.rules.unconditional_update:
        text = "Invalid value: 0: must be specified for an update"
        refuse(kind, target.name, [Cause("FieldValueInvalid", text, "metadata.resourceVersion")])
    owner_references.keep_each_once(metadata, context.warnings, owner_references.IN_REQUEST)
    body = msgspec.json.encode(tree)
    # What one turn did to a tree must not be seen by the next.
    return await change(kind, context, target, lambda _: Proposal(msgspec.json.decode(body))), False


async def _create_instead(
    kind: ServedKind, context: RequestContext, target: Target, tree: Tree
) -> tuple[StoredItem, bool]:
    if target.subresource or not kind.strategy.rules.create_on_update:
        raise not_found(kind.resource.name, kind.resource.group, target.name)
    if tree["metadata"].get("uid"):
        why = f"Precondition failed: UID in precondition: {tree['metadata']['uid']}, UID in object meta: "
        raise conflict(kind.resource.name, kind.resource.group, target.name, why)
    tree["metadata"].pop("resourceVersion", None)
    if context.require_create is not None:
        await context.require_create()
    return await creating.create(kind, context, target.namespace, tree), True
