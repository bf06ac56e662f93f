"""Changes of an object that is there: the read-modify-append loop, and what one turn of it does.

    newest item -> make the new tree -> take in, default, admit, prepare -> typed -> check -> append
         ▲                                                                                   │
         └──────────────────────── another write came first ◄───────────────────────────────┘

``change`` is for requests; ``edit`` for what the server itself does to an object (binding, eviction), which needs no
admission and no validation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api import codec, validation
from podkeeper.api.errors import ApiError, Cause, bad_request, conflict, modified, not_found
from podkeeper.api.meta.v1.objectmeta import ManagedFieldsEntry
from podkeeper.registry import deleting, owner_references
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.creating import refuse
from podkeeper.registry.documents import blaming_types, check_kind, take_in, typed
from podkeeper.registry.item import StoredItem
from podkeeper.registry.list_options import parse_revision
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import Item, RequestContext
from podkeeper.storage.store import RevisionMismatch

Tree = dict[str, Any]

STATUS = "status"
#: Subresources that never make a new generation, whatever they change.
_UNCOUNTED = (STATUS,)
#: Metadata that an update cannot change.
_KEPT = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "name",
    "namespace",
)


class Target(Struct, frozen=True):
    """Which object, and which side of it."""

    namespace: str
    name: str
    subresource: str = ""


class Face(Struct, frozen=True):
    """A subresource that shows something else than the object: what admission judges in its place.

    show: what it shows of an object. put: takes over into an object what was changed of it.
    """

    subresource: str
    show: Callable[[Tree], Tree]
    put: Callable[[Tree, Tree], None]


class Proposal(Struct, frozen=True):
    """A new state in the served version.

    vouched: it has no nulls and no unknown fields, known without a look.
    applied: it comes from server-side apply, and its field managers are known.
    face: by which it came, where that is not the object itself.
    """

    tree: Tree
    vouched: bool = False
    applied: bool = False
    face: Face | None = None


#: Makes the new state from the present one, as the served version shows it; called again when another write came first.
Make = Callable[[Item], Proposal]


class _Outdated(Exception):
    """The body names a later resourceVersion than the cache has, which may be behind."""


async def change(kind: ServedKind, context: RequestContext, target: Target, make: Make) -> StoredItem:
    """Carries a request's change through. A tree that names a resourceVersion or uid must meet the present object's."""

    async def turn(current: StoredItem) -> StoredItem:
        shown = await kind.shown(current)
        return await _Turn(kind, context, target, current, shown).take(make(shown))

    return await _until_appended(kind, target, turn)


async def edit(kind: ServedKind, context: RequestContext, target: Target, make: Callable[[Any], Any]) -> StoredItem:
    """Replaces the stored struct by what ``make`` makes of it."""

    async def turn(current: StoredItem) -> StoredItem:
        obj = make(current.typed(kind.decode))
        return await _append(kind, context, current, obj)

    return await _until_appended(kind, target, turn)


async def _until_appended(
    kind: ServedKind, target: Target, turn: Callable[[StoredItem], Awaitable[StoredItem]]
) -> StoredItem:
    """Many may change one object at a time: each builds on the one before, which need not be acknowledged yet."""
    current = kind.base(target.namespace, target.name) or await kind.present(target.namespace, target.name)
    while True:
        if current is None:
            raise not_found(kind.resource.name, kind.resource.group, target.name)
        try:
            return await turn(current)
        except RevisionMismatch as error:
            if error.current is None:
                current = None
            else:
                current = kind.base(target.namespace, target.name) or kind.cache.item_of(error.current)
        except _Outdated:
            await kind.backing.mirror.wait_until_fresh()
            newest = kind.base(target.namespace, target.name)
            if newest is None or newest.revision == current.revision:
                raise modified(kind.resource.name, kind.resource.group, target.name) from None
            current = newest


async def _append(kind: ServedKind, context: RequestContext, current: StoredItem, obj: Any) -> StoredItem:
    value = codec.encode(obj)
    if value == current.value or _differs_in_times_alone(kind, current, value, obj):
        # What is there may still be on its way to the disk.
        await kind.backing.mirror.wait_for_revision(current.revision)
        return current
    if context.dry_run:
        return kind.cache.item_of_value(current, value, current.revision)
    if obj.metadata.deletion_timestamp and deleting.is_complete(kind, codec.to_tree(obj)):
        return await deleting.remove(kind, kind.cache.item_of_value(current, value, current.revision))
    with kind.cache.drafting(current.key, value, obj):
        revision = await kind.backing.store.update(current.key, value, current.revision)
    return kind.written(kind.cache.item_of_value(current, value, revision), obj)


def _differs_in_times_alone(kind: ServedKind, current: StoredItem, value: bytes, obj: Any) -> bool:
    """Whether all that would change is when the field managers wrote, which is no change.

    Source: IgnoreManagedFieldsTimestampsTransformer of k8s.io/apiserver.
    """
    if len(value) != len(current.value):
        return False
    before = current.typed(kind.decode).metadata.managed_fields
    if _untimed(obj.metadata.managed_fields) != _untimed(before):
        return False
    metadata = msgspec.structs.replace(obj.metadata, managed_fields=before)
    return codec.encode(msgspec.structs.replace(obj, metadata=metadata)) == current.value


def _untimed(entries: Iterable[ManagedFieldsEntry]) -> list[ManagedFieldsEntry]:
    return [msgspec.structs.replace(each, time="") for each in entries]


class _Turn:
    """One try of a change against one state of the object."""

    def __init__(
        self, kind: ServedKind, context: RequestContext, target: Target, current: StoredItem, shown: Item
    ) -> None:
        self.kind, self.context, self.target, self.current, self.shown = kind, context, target, current, shown

    async def take(self, proposal: Proposal) -> StoredItem:
        """Prepares, checks and appends. Raises RevisionMismatch when another write came first."""
        kind = self.kind
        check_kind(kind.resource, proposal.tree)
        self._check_preconditions(proposal.tree["metadata"] or {})
        face = proposal.face
        attributes = self._attributes()
        tree = attributes.tree = self._complete(proposal, attributes.old or {})
        with blaming_types(kind, tree):
            if not proposal.applied:
                managers = kind.field_managers
                manager = managers.of(face.subresource if face else self.target.subresource)
                manager.record(attributes.old, tree, managers.writer(self.context))
            if face is not None:
                shown = attributes.tree = face.show(tree)
                attributes.subresource, attributes.old = face.subresource, face.show(attributes.old or {})
                await kind.backing.admission.mutate(attributes)
                face.put(tree, shown)
            else:
                await kind.backing.admission.mutate(attributes)
            owner_references.keep_each_once(tree["metadata"], self.context.warnings, owner_references.AFTER_ADMISSION)
            new, old = kind.view.to_storage(tree), self._before
            carry_over(new["metadata"], old["metadata"])
            self._prepare(new, old)
        with blaming_types(kind, tree):
            reservation = None if self.target.subresource else kind.strategy.reserve(new, old, self.context.dry_run)
        try:
            obj = self._checked(new, old)
            admitted = kind.view.from_storage(new) if kind.converted else new
            attributes.tree = face.show(admitted) if face is not None else admitted
            await kind.backing.admission.validate(attributes)
            if kind.custom is not None:
                obj = await kind.custom.sealed(obj)
            item = await _append(kind, self.context, self.current, obj)
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
        version = parse_revision(str(metadata.get("resourceVersion") or ""))
        if version and version < self.current.revision:
            raise modified(self.kind.resource.name, self.kind.resource.group, self.target.name)
        if version > self.current.revision:
            raise _Outdated

    @property
    def _before(self) -> Tree:
        """The present state in the version that strategies work in: the stored one, of custom kinds the served one."""
        return self.shown.tree() if self.kind.custom is not None else self.current.tree()

    def _attributes(self) -> Attributes:
        kind, target = self.kind, self.target
        return Attributes(
            operation=Operation.UPDATE,
            resource=kind.resource,
            namespace=target.namespace,
            name=target.name,
            user=self.context.user,
            tree=None,
            old=self.shown.tree(),
            subresource=target.subresource,
            dry_run=self.context.dry_run,
            warnings=self.context.warnings,
        )

    def _complete(self, proposal: Proposal, old: Tree) -> Tree:
        """The new state as a whole. Of a status update, everything but metadata and status is known already."""
        if self.target.subresource != STATUS:
            return take_in(self.kind, self.context, proposal.tree, proposal.vouched)
        part = _status_side(proposal.tree)
        taken = take_in(self.kind, self.context, part, proposal.vouched)
        whole = old | {"metadata": taken["metadata"]}
        whole.pop("status", None)
        return whole | {"status": taken["status"]} if "status" in taken else whole

    def _prepare(self, new: Tree, old: Tree) -> None:
        strategy, subresource = self.kind.strategy, self.target.subresource
        if not subresource:
            strategy.prepare_for_update(new, old)
        elif subresource == STATUS:
            strategy.prepare_for_status_update(new, old)
        else:
            strategy.prepare_for_subresource(subresource, new, old)

    def _checked(self, new: Tree, old: Tree) -> msgspec.Struct:
        kind, subresource = self.kind, self.target.subresource
        before: Any = self._typed_before(old)
        obj: Any = self._typed(new, before)
        counted = kind.strategy.rules.generation and subresource not in _UNCOUNTED
        if counted and kind.strategy.changes_generation(obj, before):
            new["metadata"]["generation"] = generation = (before.metadata.generation or 0) + 1
            obj = msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, generation=generation))
        mistakes = [
            *finalizer_mistakes(new["metadata"], old["metadata"]),
            *validation.validate_update(kind.stored, obj, before, subresource),
            *kind.strategy.mistakes(new, old, subresource),
        ]
        refuse(kind, self.target.name, mistakes)
        if not subresource:
            self.context.warnings.extend(kind.strategy.warnings(kind.stored, obj, before))
        return obj  # type: ignore[no-any-return]

    def _typed_before(self, old: Tree) -> msgspec.Struct:
        kind = self.kind
        if kind.custom is None or self.shown is self.current:
            return self.current.typed(kind.decode)  # type: ignore[no-any-return]
        return typed(kind.stored, kind.stored_class, old)

    def _typed(self, new: Tree, before: Any) -> msgspec.Struct:
        kind = self.kind
        if self.target.subresource != STATUS:
            return typed(kind.stored, kind.stored_class, new)
        fresh: Any = typed(kind.stored, kind.stored_class, _status_side(new))
        if kind.custom is not None:
            content = {name: value for name, value in before.content.items() if name != STATUS} | fresh.content
            return msgspec.structs.replace(before, metadata=fresh.metadata, content=content)  # type: ignore[no-any-return]
        replaced: msgspec.Struct = msgspec.structs.replace(before, metadata=fresh.metadata, status=fresh.status)
        return replaced


def _status_side(tree: Tree) -> Tree:
    return {key: value for key, value in tree.items() if key in ("apiVersion", "kind", "metadata", "status")}


def carry_over(new: Tree, old: Tree) -> None:
    """Metadata that an update cannot change becomes what it was."""
    for member in _KEPT:
        if member in old:
            new[member] = old[member]
        else:
            new.pop(member, None)
    new.pop("resourceVersion", None)


def check_identity(kind: ServedKind, metadata: Tree, target: Target) -> None:
    """A new state must be of the object that the URL names; a namespace that it leaves out is filled in. Raises 400."""
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not name:
        why = "was undeterminable: name must be provided"
        raise bad_request(f"the name of the object ({target.name} based on URL) {why}")
    if name != target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    if not kind.resource.namespaced:
        metadata.pop("namespace", None)
    elif not namespace:
        metadata["namespace"] = target.namespace
    elif namespace != target.namespace:
        why = f"does not match the namespace on the request ({target.namespace})"
        raise bad_request(f"the namespace of the object ({namespace}) {why}")


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
