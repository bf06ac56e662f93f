"""DELETE: at once, or by marking the object and waiting for grace and finalizers.

                 DELETE, no grace, no finalizers
    present ───────────────────────────────────────────────► gone
       │ DELETE                                               ▲
       ▼                                                      │ last finalizer removed and grace 0,
    deletionTimestamp set ────────────────────────────────────┘ or DELETE with grace 0
       │  ▲
       └──┘ DELETE with a shorter grace, or with another propagation policy

Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/ and the Pod lifecycle page.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api import codec, timestamps
from podkeeper.api.errors import ApiError, Cause, invalid, not_found
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.documents import typed
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import Deleted, DeleteOptions, RequestContext
from podkeeper.storage.store import RevisionMismatch

Tree = dict[str, Any]

FOREGROUND_FINALIZER, ORPHAN_FINALIZER = "foregroundDeletion", "orphan"
_POLICIES = ("Foreground", "Background", "Orphan", "")


class Plan(Struct, frozen=True):
    """What a DELETE does to an object: nothing (already under way), remove it, or replace it by ``tree``."""

    remove: bool = False
    tree: Tree | None = None


async def delete(
    kind: ServedKind, context: RequestContext, namespace: str, name: str, options: DeleteOptions
) -> Deleted:
    """Raises ApiError: 404, 409 when a precondition does not hold."""
    if options.propagation not in _POLICIES:
        raise _unknown_policy(options.propagation)
    current = await kind.present(namespace, name)
    admitted = False
    while True:
        if current is None:
            raise not_found(kind.resource.name, kind.resource.group, name)
        _check_preconditions(kind, current, options)
        if not admitted:
            await _admit(kind, context, current, options)
            admitted = True
        plan = plan_deletion(kind, current.fresh_tree(), options, kind.backing.clock.time())
        try:
            return await _carry_out(kind, context, current, plan)
        except RevisionMismatch as error:
            current = kind.cache.item_of(error.current) if error.current is not None else None


def _unknown_policy(policy: str) -> ApiError:
    supported = ", ".join(f'"{each or "nil"}"' for each in _POLICIES)
    text = f'Unsupported value: "{policy}": supported values: {supported}'
    return invalid("DeleteOptions", "meta.k8s.io", "", [Cause("FieldValueNotSupported", text, "propagationPolicy")])


def plan_deletion(kind: ServedKind, tree: Tree, options: DeleteOptions, now: float) -> Plan:
    """Decides; ``tree`` is the present object, which may be changed."""
    metadata, strategy = tree["metadata"], kind.strategy
    if metadata.get("deletionTimestamp"):
        return _plan_again(kind, tree, options)
    grace = strategy.grace_period(tree, options.grace_period)
    finalizers = _finalizers(metadata, options, strategy.rules.orphan_by_default)
    metadata["finalizers"] = finalizers
    held = bool(finalizers) or strategy.holds_deletion(tree)
    if not held and not grace:
        return Plan(remove=True)
    _mark(metadata, now, grace or 0)
    strategy.prepare_for_deletion(tree)
    return Plan(tree=tree)


def is_complete(kind: ServedKind, tree: Tree) -> bool:
    """Whether an object that is being deleted waits for nothing any more."""
    metadata = tree["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds") and not kind.strategy.holds_deletion(tree)


async def remove(kind: ServedKind, item: StoredItem) -> StoredItem:
    """Takes an object out of the store; the item as it was last, at the revision of its deletion."""
    revision = await kind.backing.store.delete(item.key, item.revision)
    kind.strategy.release(item.tree())
    return item.at(revision)


def _plan_again(kind: ServedKind, tree: Tree, options: DeleteOptions) -> Plan:
    """The object is being deleted already: its grace can become shorter, and then its dependents' fate another; that
    of the dependents of a kind without grace can do so at any time."""
    metadata, strategy = tree["metadata"], kind.strategy
    before = metadata.get("deletionGracePeriodSeconds")
    wanted = strategy.grace_period(tree, options.grace_period)
    if before is None or wanted is None:
        return _plan_again_without_grace(kind, tree, options)
    shortened = wanted is not None and wanted < before and (options.grace_period is not None or wanted == 0)
    if shortened and wanted is not None:
        ends = timestamps.parse(metadata["deletionTimestamp"]) - before + wanted
        metadata["deletionTimestamp"] = timestamps.format_time(ends)
        metadata["deletionGracePeriodSeconds"] = wanted
        metadata["finalizers"] = _finalizers(metadata, options, strategy.rules.orphan_by_default)
    if is_complete(kind, tree):
        return Plan(remove=True)
    return Plan(tree=tree) if shortened else Plan()


def _plan_again_without_grace(kind: ServedKind, tree: Tree, options: DeleteOptions) -> Plan:
    metadata = tree["metadata"]
    before = metadata.get("finalizers") or []
    metadata["finalizers"] = _finalizers(metadata, options, kind.strategy.rules.orphan_by_default)
    if is_complete(kind, tree):
        return Plan(remove=True)
    return Plan(tree=tree) if metadata["finalizers"] != before else Plan()


def _mark(metadata: Tree, now: float, grace: int) -> None:
    metadata["deletionTimestamp"] = timestamps.format_time(now + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    if metadata.get("generation"):
        metadata["generation"] += 1


def _finalizers(metadata: Tree, options: DeleteOptions, orphan_by_default: bool) -> list[str]:
    own = metadata.get("finalizers") or []
    rest = [each for each in own if each not in (FOREGROUND_FINALIZER, ORPHAN_FINALIZER)]
    if options.propagation == "Orphan":
        return [*rest, ORPHAN_FINALIZER]
    if options.propagation == "Foreground":
        return [*rest, FOREGROUND_FINALIZER]
    if options.propagation == "Background":
        return rest
    if ORPHAN_FINALIZER in own or FOREGROUND_FINALIZER in own:
        return list(own)
    return [*rest, ORPHAN_FINALIZER] if orphan_by_default else rest


async def _carry_out(kind: ServedKind, context: RequestContext, current: StoredItem, plan: Plan) -> Deleted:
    if plan.remove:
        return Deleted(current if context.dry_run else await remove(kind, current), gone=True)
    if plan.tree is None:
        return Deleted(current, gone=False)
    obj = typed(kind.stored, kind.stored_class, _without_version(plan.tree))
    value = codec.encode(obj)
    if value == current.value:
        return Deleted(current, gone=False)
    if context.dry_run:
        return Deleted(kind.cache.item_of_value(current, value, current.revision), gone=False)
    revision = await kind.backing.store.update(current.key, value, current.revision)
    return Deleted(kind.written(kind.cache.item_of_value(current, value, revision), obj), gone=False)


def _without_version(tree: Tree) -> Tree:
    tree["metadata"].pop("resourceVersion", None)
    if not tree["metadata"].get("finalizers"):
        tree["metadata"].pop("finalizers", None)
    return tree


async def _admit(kind: ServedKind, context: RequestContext, current: StoredItem, options: DeleteOptions) -> None:
    attributes = Attributes(
        operation=Operation.DELETE,
        resource=kind.resource,
        namespace=current.namespace,
        name=current.name,
        user=context.user,
        tree=None,
        old=(await kind.shown(current)).tree(),
        dry_run=context.dry_run,
        options=_options_tree(options),
        warnings=context.warnings,
    )
    await kind.backing.admission.mutate(attributes)
    await kind.backing.admission.validate(attributes)


def _options_tree(options: DeleteOptions) -> Tree:
    tree: Tree = {"apiVersion": "meta.k8s.io/v1", "kind": "DeleteOptions"}
    if options.grace_period is not None:
        tree["gracePeriodSeconds"] = options.grace_period
    if options.propagation:
        tree["propagationPolicy"] = options.propagation
    return tree


def _check_preconditions(kind: ServedKind, item: StoredItem, options: DeleteOptions) -> None:
    uid = item.tree()["metadata"].get("uid", "")
    if options.uid and options.uid != uid:
        raise _conflict(
            kind,
            item,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated",
        )
    if options.resource_version and options.resource_version != str(item.revision):
        raise _conflict(
            kind,
            item,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({item.revision}). The object might have been modified",
        )


def _conflict(kind: ServedKind, item: StoredItem, why: str) -> ApiError:
    group, name = kind.resource.group, kind.resource.kind
    qualified = f"{name}.{group}" if group else name
    text = f'Operation cannot be fulfilled on {qualified} "{item.name}": {why}'
    return ApiError(409, "Conflict", text, group=group, kind=name, name=item.name)


def without_resource_version(options: DeleteOptions) -> DeleteOptions:
    """Options for one object of a collection: preconditions name single objects and do not apply."""
    return replace(options, uid=None, resource_version=None)
