"""PATCH: a read-modify-append loop over JSON, merge and strategic merge patches. Apply patches: see ``applying``."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import schema
from podkeeper.api.errors import bad_request, unsupported_media_type
from podkeeper.api.patches import json_patch, merge_patch, strategic
from podkeeper.registry import unknown_fields
from podkeeper.registry.changing import Proposal, Target, change, check_identity
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import Item, PatchType, RequestContext

Tree = dict[str, Any]


async def patch(
    kind: ServedKind, context: RequestContext, target: Target, body: Any, patch_type: PatchType
) -> StoredItem:
    """Applies a patch to the newest state, again if that has changed meanwhile.

    409 only if the patched object itself names another resourceVersion or uid.
    """
    vouched = patch_type is not PatchType.JSON and _is_plain(kind, body)

    def make(current: Item) -> Proposal:
        patched = apply(kind, msgspec.json.decode(current.json), body, patch_type)
        if isinstance(patched.get("metadata"), dict):
            check_identity(kind, patched["metadata"], target)
        return Proposal(patched, vouched)

    return await change(kind, context, target, make)


def _is_plain(kind: ServedKind, body: Any) -> bool:
    """Whether a patch brings neither nulls nor unknown fields, so that its outcome has none either."""
    return b"null" not in msgspec.json.encode(body) and not unknown_fields.paths(kind.served_class, body)


def apply(kind: ServedKind, base: Tree, body: Any, patch_type: PatchType) -> Tree:
    """The patched tree; ``base`` may be changed."""
    if patch_type is PatchType.JSON:
        return _object(json_patch.apply(base, body))
    if patch_type is PatchType.MERGE:
        return _object(merge_patch.apply(base, body))
    if kind.custom is not None:
        raise unsupported_media_type([each.value for each in PatchType if each is not PatchType.STRATEGIC])
    return strategic.apply(base, body, schema.for_class(kind.served_class))


def _object(patched: Any) -> Tree:
    if not isinstance(patched, dict):
        raise bad_request("the patched document is not an object")
    return patched
