"""The scale subresource: autoscaling/v1 Scale as a face of an object's replicas.

Served by Deployments, ReplicaSets, StatefulSets and ReplicationControllers. Source:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/ (Scale)
"""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import codec
from podkeeper.api.errors import ApiError, Cause, bad_request, invalid
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.api.structural.definition import ScalePaths
from podkeeper.registry.applying import proposing
from podkeeper.registry.changing import Face, Proposal, Target, change
from podkeeper.registry.item import Shape, StoredItem
from podkeeper.registry.patching import outcome, refused
from podkeeper.registry.served import ServedKind
from podkeeper.registry.undecodable import Undecodable
from podkeeper.registry.verbs import Item, PatchType, RequestContext

Tree = dict[str, Any]

#: Where built-in kinds keep it.
BUILT_IN = ScalePaths(selector=("spec", "selector"))
#: The type in the schema.
_SCALE = "autoscaling/v1.Scale"
_SHAPE_READS = "a Scale has no labels or fields to select by"


def read(kind: ServedKind, item: Item) -> Item:
    """The Scale of an object in the served version."""
    value = msgspec.json.encode(scale_of(item.tree(), paths_of(kind)))
    return StoredItem(_SHAPE, item.key, item.namespace, item.name, item.revision, value)


async def update(kind: ServedKind, context: RequestContext, target: Target, scale: Tree) -> Item:
    """PUT of a Scale: only ``spec.replicas`` means anything."""
    _check_kind(scale)
    own = (scale.get("metadata") or {}).get("name") or target.name
    if own != target.name:
        raise bad_request(f"the name of the object ({own}) does not match the name on the URL ({target.name})")
    return await _write(kind, context, target, lambda current: scale)


async def patch(
    kind: ServedKind, context: RequestContext, target: Target, body: Any, patch_type: PatchType, force: bool = False
) -> Item:
    """PATCH of a Scale; ``force`` means something to apply patches only."""
    if patch_type is PatchType.APPLY:
        return await _apply(kind, context, target, body, force)
    # Scale has no lists to merge by key, so a strategic patch of it is a merge patch.
    plain = PatchType.MERGE if patch_type is PatchType.STRATEGIC else patch_type

    def patched(current: Item) -> Tree:
        base = scale_of(current.tree(), paths_of(kind))
        base["metadata"]["resourceVersion"] = str(current.revision)
        return _checked(outcome(kind, base, body, plain), body, patch_type)

    return await _write(kind, context, target, patched)


def _checked(scale: Any, body: Any, patch_type: PatchType) -> Tree:
    """The patched Scale. Raises 422 for something else."""
    try:
        codec.from_tree(codec.load_class("podkeeper.api.autoscaling.v1:Scale"), scale)
    except codec.WrongType:
        from podkeeper.api import gojson  # nobody needs it as long as patches are right

        if patch_type is PatchType.STRATEGIC:
            raise refused(gojson.printed(body), gojson.misfit(scale, _SCALE)) from None
        raise refused(msgspec.json.encode(scale).decode(), gojson.judge(scale, _SCALE).error) from None
    found: Tree = scale
    return found


async def _write(kind: ServedKind, context: RequestContext, target: Target, make: Any) -> Item:
    def changed(current: Item) -> Proposal:
        scale: Tree = make(current)
        tree: Tree = msgspec.json.decode(current.json)
        replicas = _replicas(target, scale)
        put(tree, paths_of(kind).replicas, replicas)
        metadata = scale.get("metadata") or {}
        for member in ("resourceVersion", "uid"):
            tree["metadata"].pop(member, None)
            if metadata.get(member):
                tree["metadata"][member] = metadata[member]
        return Proposal(tree, vouched=True, face=_face(kind, target))

    item = await change(kind, context, Target(target.namespace, target.name), changed)
    return read(kind, await kind.shown(item))


async def _apply(kind: ServedKind, context: RequestContext, target: Target, scale: Tree, force: bool) -> Item:
    """Server-side apply of a Scale is one of the object's replicas."""
    _check_kind(scale)
    config: Tree = {"apiVersion": kind.resource.api_version, "metadata": dict(scale.get("metadata") or {})}
    if "replicas" in (scale.get("spec") or {}):
        put(config, paths_of(kind).replicas, _replicas(target, scale))
    applied = proposing(kind, context, target, config, force, _face(kind, target))
    item = await change(kind, context, Target(target.namespace, target.name), applied)
    return read(kind, await kind.shown(item))


def _face(kind: ServedKind, target: Target) -> Face:
    """Admission sees the Scale, and of what it changes only the replicas count."""
    paths = paths_of(kind)
    return Face(
        target.subresource,
        lambda tree: scale_of(tree, paths),
        lambda tree, scale: put(tree, paths.replicas, _replicas(target, scale)),
    )


def paths_of(kind: ServedKind) -> ScalePaths:
    """Where a kind keeps what its Scale shows."""
    return (kind.version.scale if kind.version is not None else None) or BUILT_IN


def put(tree: Tree, path: tuple[str, ...], value: Any) -> None:
    """Sets what stands at a path, making the way there."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree if path else None


def scale_of(tree: Tree, paths: ScalePaths) -> Tree:
    """The Scale of an object, without a resourceVersion."""
    metadata, replicas = tree["metadata"], _at(tree, paths.replicas)
    kept = {key: metadata[key] for key in ("name", "namespace", "uid", "creationTimestamp") if key in metadata}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": kept,
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"replicas": _at(tree, paths.observed) or 0, "selector": selector_text(_at(tree, paths.selector))},
    }


def selector_text(selector: Tree | str | None) -> str:
    """An object's selector as a query's text; a plain map for ReplicationControllers, text for custom resources."""
    if not selector:
        return ""
    if isinstance(selector, str):
        return selector
    if "matchLabels" in selector or "matchExpressions" in selector:
        return str(label_selectors.from_tree(selector))
    return str(label_selectors.from_set(selector))


def _replicas(target: Target, scale: Tree) -> int:
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        from podkeeper.api import gojson  # nobody needs it as long as bodies are right

        raise Undecodable("Scale", "v1", gojson.judge(scale, _SCALE).error)
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", target.name, [Cause("FieldValueInvalid", text, "spec.replicas")])
    return replicas


def _check_kind(scale: Any) -> None:
    """Raises 400 for what is no Scale."""
    try:
        codec.from_tree(codec.load_class("podkeeper.api.autoscaling.v1:Scale"), scale)
    except codec.WrongType as error:
        from podkeeper.api import gojson  # nobody needs it as long as bodies are right

        raise Undecodable("Scale", "v1", gojson.judge(scale, _SCALE).error or str(error)) from None
    found = scale.get("kind", "Scale") or "Scale"
    if found != "Scale":
        raise bad_request(f'{found} in version "v1" cannot be handled as a Scale')


def _no_head(content: bytes, namespace: str, name: str) -> Any:
    raise ApiError(500, "InternalError", _SHAPE_READS)


_SHAPE = Shape("autoscaling/v1", "Scale", _no_head)
