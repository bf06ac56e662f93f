"""UPDATE: replaces an object, or one side of it (status and other subresources)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from podkeeper.api import codec
from podkeeper.api.errors import ApiError, Cause, bad_request, conflict, modified, not_found
from podkeeper.registry import checks, creating, deleting
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.creating import refuse
from podkeeper.registry.documents import check_kind, take_in, typed
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import RequestContext
from podkeeper.storage.store import RevisionMismatch

Tree = dict[str, Any]

#: Subresources that never make a new generation, whatever they change.
_UNCOUNTED = ("status", "binding")

#: Makes the new object from the present one (in the served version); called again when the append found a newer one.
Change = Callable[[StoredItem], Tree]


@dataclass(frozen=True, slots=True)
class Target:
    """Which object, and which side of it."""

    namespace: str
    name: str
    subresource: str = ""


async def update(kind: ServedKind, context: RequestContext, target: Target, tree: Tree) -> tuple[StoredItem, bool]:
    """PUT. Raises ApiError: 400, 404, 409, 422. Returns the object and whether it was created."""
    check_kind(kind.resource, tree)
    metadata = tree["metadata"] = tree["metadata"] or {}
    _check_identity(kind, metadata, target)
    current = kind.newest(target.namespace, target.name)
    if current is None:
        await kind.backing.mirror.wait_until_fresh()
        current = kind.newest(target.namespace, target.name)
    if current is None:
        return await _create_instead(kind, context, target, tree)
    if not metadata.get("resourceVersion") and not kind.strategy.rules.unconditional_update:
        missing = Cause(
            "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
        )
        refuse(kind, target.name, [missing])
    return await change(kind, context, target, lambda _: dict(tree) | {"metadata": dict(metadata)}), False


async def change(kind: ServedKind, context: RequestContext, target: Target, make: Change) -> StoredItem:
    """A read-modify-append loop. A tree that names a resourceVersion or uid must meet the present object's."""
    async with kind.backing.locks.hold(kind.cache.key(target.namespace, target.name)):
        current = kind.newest(target.namespace, target.name)
        if current is None:
            await kind.backing.mirror.wait_until_fresh()
            current = kind.newest(target.namespace, target.name)
        while True:
            if current is None:
                raise not_found(kind.resource.name, kind.resource.group, target.name)
            step = _Step(kind, context, target, current)
            try:
                return await step.take(make(current))
            except RevisionMismatch as error:
                current = kind.cache.item_of(error.current) if error.current is not None else None
            except _Outdated:
                await kind.backing.mirror.wait_until_fresh()
                newest = kind.newest(target.namespace, target.name)
                if newest is None or newest.revision == current.revision:
                    raise modified(kind.resource.name, kind.resource.group, target.name) from None
                current = newest


class _Outdated(Exception):
    """The body names another resourceVersion than the cache has; the cache may be behind."""


class _Step:
    """One try of a change against one state of the object."""

    def __init__(self, kind: ServedKind, context: RequestContext, target: Target, current: StoredItem) -> None:
        self.kind, self.context, self.target, self.current = kind, context, target, current

    async def take(self, tree: Tree) -> StoredItem:
        """Prepares, checks and appends. Raises RevisionMismatch when another write came first."""
        kind, current = self.kind, self.current
        self._check_preconditions(tree.get("metadata") or {})
        check_kind(kind.resource, tree)
        tree = take_in(kind, self.context, tree)
        attributes = self._attributes(tree)
        await kind.backing.admission.mutate(attributes)
        new, old = kind.view.to_storage(tree), current.tree()
        carry_over(new["metadata"], old["metadata"])
        self._prepare(new, old)
        reservation = None
        try:
            if not self.target.subresource:
                reservation = kind.strategy.reserve(new, old, self.context.dry_run)
            obj = self._checked(new, old)
            attributes.tree = kind.view.from_storage(new) if kind.converted else new
            await kind.backing.admission.validate(attributes)
            item = await self._append(codec.encode(obj), new)
        except BaseException:
            if reservation is not None:
                reservation.roll_back()
            raise
        if reservation is not None:
            (reservation.roll_back if self.context.dry_run else reservation.commit)()
        return item

    def _check_preconditions(self, metadata: Tree) -> None:
        uid, own = metadata.get("uid"), self.current.tree()["metadata"].get("uid", "")
        if uid and uid != own:
            raise precondition_failed(self.kind, self.current, f"UID in precondition: {uid}, UID in object meta: {own}")
        version = metadata.get("resourceVersion")
        if version and version != str(self.current.revision):
            raise _Outdated

    def _attributes(self, tree: Tree) -> Attributes:
        kind, target = self.kind, self.target
        old = self.current.tree()
        return Attributes(
            operation=Operation.UPDATE,
            resource=kind.resource,
            namespace=target.namespace,
            name=target.name,
            user=self.context.user,
            tree=tree,
            old=kind.view.from_storage(old) if kind.converted else old,
            subresource=target.subresource,
            dry_run=self.context.dry_run,
            warnings=self.context.warnings,
        )

    def _prepare(self, new: Tree, old: Tree) -> None:
        strategy, subresource = self.kind.strategy, self.target.subresource
        if not subresource:
            strategy.prepare_for_update(new, old)
        elif subresource == "status":
            strategy.prepare_for_status_update(new, old)
        else:
            strategy.prepare_for_subresource(subresource, new, old)

    def _checked(self, new: Tree, old: Tree) -> msgspec.Struct:
        kind = self.kind
        cls = kind.stored_class
        obj: Any = typed(kind.stored, cls, new)
        before: Any = codec.decode(cls, self.current.value)
        counted = kind.strategy.rules.generation and self.target.subresource not in _UNCOUNTED
        if counted and kind.strategy.changes_generation(obj, before):
            new["metadata"]["generation"] = generation = (before.metadata.generation or 0) + 1
            obj = msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, generation=generation))
        mistakes = [
            *finalizer_mistakes(new["metadata"], old["metadata"]),
            *checks.on_update(kind.stored, obj, before, self.target.subresource),
            *kind.strategy.mistakes(new, old, self.target.subresource),
        ]
        refuse(kind, self.target.name, mistakes)
        return obj  # type: ignore[no-any-return]

    async def _append(self, value: bytes, new: Tree) -> StoredItem:
        kind, current = self.kind, self.current
        if value == current.value:
            return current
        if self.context.dry_run:
            return kind.cache.item_of_value(current, value, current.revision)
        if deleting.is_complete(kind, new):
            return await deleting.remove(kind, kind.cache.item_of_value(current, value, current.revision))
        revision = await kind.backing.store.update(current.key, value, current.revision)
        return kind.written(kind.cache.item_of_value(current, value, revision))


def carry_over(new: Tree, old: Tree) -> None:
    """Metadata that an update cannot change becomes what it was."""
    for member in (
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "name",
        "namespace",
    ):
        if member in old:
            new[member] = old[member]
        else:
            new.pop(member, None)
    new.pop("resourceVersion", None)


def finalizer_mistakes(new: Tree, old: Tree) -> list[Cause]:
    """An object that is being deleted takes no new finalizers."""
    if not old.get("deletionTimestamp"):
        return []
    added = [each for each in new.get("finalizers") or () if each not in (old.get("finalizers") or ())]
    if not added:
        return []
    listed = ", ".join(f'"{each}"' for each in added)
    text = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [Cause("FieldValueForbidden", f"Forbidden: {text}", "metadata.finalizers")]


def precondition_failed(kind: ServedKind, item: StoredItem, why: str) -> ApiError:
    """409 in the words that upstream's storage uses."""
    text = f"StorageError: invalid object, Code: 4, Key: /registry{item.key}, ResourceVersion: 0, "
    text += f"AdditionalErrorMsg: Precondition failed: {why}"
    return conflict(kind.resource.name, kind.resource.group, item.name, text)


def _check_identity(kind: ServedKind, metadata: Tree, target: Target) -> None:
    name = metadata.setdefault("name", target.name) or target.name
    if name != target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    metadata["name"] = name
    own = metadata.get("namespace") or ""
    if kind.resource.namespaced and not own:
        metadata["namespace"] = target.namespace
    elif own != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


async def _create_instead(
    kind: ServedKind, context: RequestContext, target: Target, tree: Tree
) -> tuple[StoredItem, bool]:
    if target.subresource or not kind.strategy.rules.create_on_update:
        raise not_found(kind.resource.name, kind.resource.group, target.name)
    if tree["metadata"].get("uid"):
        why = f"Precondition failed: UID in precondition: {tree['metadata']['uid']}, UID in object meta: "
        raise conflict(kind.resource.name, kind.resource.group, target.name, why)
    tree["metadata"].pop("resourceVersion", None)
    return await creating.create(kind, context, target.namespace, tree), True
