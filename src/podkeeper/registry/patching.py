"""PATCH: a read-modify-append loop over JSON, merge and strategic merge patches. Apply patches: see ``applying``."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import schema
from podkeeper.api.errors import ApiError, Cause, invalid, unsupported_media_type
from podkeeper.api.patches import json_patch, merge_patch, strategic
from podkeeper.registry import unknown_fields
from podkeeper.registry.changing import Proposal, Target, change, check_identity
from podkeeper.registry.documents import typed
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.undecodable import Undecodable, other_custom_kind, other_kind
from podkeeper.registry.verbs import Item, PatchType, RequestContext

Tree = dict[str, Any]

#: Only a replacement of the whole can make something else of an object.
_NO_OBJECT = (
    "json parse error: json: cannot unmarshal array into Go value of type struct "
    '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)


async def patch(
    kind: ServedKind, context: RequestContext, target: Target, body: Any, patch_type: PatchType
) -> StoredItem:
    """Applies a patch to the newest state, again if that has changed meanwhile.

    409 only if the patched object itself names another resourceVersion or uid.
    """
    vouched = patch_type is not PatchType.JSON and not context.complaints and _is_plain(kind, body)
    newest: list[Item] = []

    def make(current: Item) -> Proposal:
        newest[:] = [current]
        patched = outcome(kind, _base(current), body, patch_type)
        if patch_type is PatchType.STRATEGIC:
            # Upstream merges into what has a type already.
            patched["apiVersion"], patched["kind"] = kind.resource.api_version, kind.resource.kind
        else:
            patched = _object(kind, patched)
        if isinstance(patched.get("metadata"), dict):
            _check_identity(kind, patched, target)
        return Proposal(patched, vouched)

    try:
        return await change(kind, context, target, make)
    except Undecodable as error:
        raise _refused(kind, newest[0], body, patch_type, error) from None


def _base(current: Item) -> Tree:
    tree: Tree = msgspec.json.decode(current.json)
    return tree


def _check_identity(kind: ServedKind, patched: Tree, target: Target) -> None:
    """As ``check_identity``, but values of a wrong type are told first."""
    try:
        check_identity(kind, patched["metadata"], target)
    except ApiError:
        typed(kind.resource, kind.served_class, patched)
        raise


def _refused(kind: ServedKind, current: Item, body: Any, patch_type: PatchType, error: Undecodable) -> ApiError:
    """422 for a patch whose outcome is no object of the kind: it shows the outcome, or the patch that was merged."""
    from podkeeper.api import gojson  # nobody needs it as long as patches are right

    why, patched = error.why, outcome(kind, _base(current), body, patch_type)
    if patch_type is PatchType.STRATEGIC:
        shown = gojson.printed(body)
        why = gojson.misfit(patched, schema.for_class(kind.served_class).name) or why
    else:
        shown = msgspec.json.encode(patched).decode()
    return refused(shown, why)


def refused(shown: str, why: str) -> ApiError:
    """422 for a patch that has made something wrong."""
    from podkeeper.api import gojson

    return invalid("", "", "", [Cause("FieldValueInvalid", f"Invalid value: {gojson.quoted(shown)}: {why}", "patch")])


def _is_plain(kind: ServedKind, body: Any) -> bool:
    """Whether a patch brings neither nulls nor unknown fields, so that its outcome has none either."""
    return b"null" not in msgspec.json.encode(body) and not unknown_fields.paths(kind.served_class, body)


def outcome(kind: ServedKind, base: Tree, body: Any, patch_type: PatchType) -> Any:
    """Whatever JSON the patch makes of a tree, which may be changed."""
    if patch_type is PatchType.JSON:
        return json_patch.apply(base, body)
    if patch_type is PatchType.MERGE:
        return merge_patch.apply(base, body)
    if kind.custom is not None:
        raise unsupported_media_type([each.value for each in PatchType if each is not PatchType.STRATEGIC])
    return strategic.apply(base, body, schema.for_class(kind.served_class))


def _object(kind: ServedKind, patched: Any) -> Tree:
    """Raises Undecodable for what is no object, or one of another kind."""
    resource = kind.resource
    if not isinstance(patched, dict):
        raise Undecodable(resource.kind, resource.version, f"couldn't get version/kind; {_NO_OBJECT}")
    named = (patched.get("kind") or resource.kind, patched.get("apiVersion") or resource.api_version)
    expected = (resource.kind, resource.api_version)
    if kind.custom is not None and named != expected:
        raise other_custom_kind(resource, patched)
    if named != expected and isinstance(named[0], str) and isinstance(named[1], str):
        raise Undecodable(resource.kind, resource.version, other_kind(patched, *named, expected))
    return patched
