"""CREATE: from a body to an appended object. Also used by an update that creates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api import codec, names, timestamps, validation
from podkeeper.api.errors import ApiError, Cause, already_exists, bad_request, invalid
from podkeeper.registry import owner_references
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.documents import blaming_types, check_kind, take_in, typed
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.strategies.base import Origin, Reservation
from podkeeper.registry.verbs import RequestContext
from podkeeper.storage.store import KeyExists

Tree = dict[str, Any]

#: How often a generated name is tried before the client is told to try again; upstream's figure.
NAME_ATTEMPTS = 8
#: Suffixes of generated names need to differ, not to be secret.
_RANDOM = Random()  # noqa: S311


class Draft(Struct, frozen=True):
    """A new object that only has to be appended."""

    tree: Tree
    obj: msgspec.Struct
    reservation: Reservation | None


async def create(
    kind: ServedKind, context: RequestContext, namespace: str, tree: Tree, applied: bool = False
) -> StoredItem:
    """Appends a new object. Raises ApiError: 400, 403, 404 (namespace), 409 (name), 422.

    ``applied``: the tree comes from server-side apply, and its field managers are known.
    """
    check_kind(kind.resource, tree)
    tree = take_in(kind, context, tree)
    metadata = tree["metadata"]
    owner_references.keep_each_once(metadata, context.warnings, owner_references.IN_REQUEST)
    _settle_namespace(kind, metadata, namespace)
    if metadata.get("resourceVersion"):
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
    generated = bool(metadata.get("generateName") and not metadata.get("name"))
    if not applied:
        kind.field_managers.of().record(None, tree, kind.field_managers.writer(context))
    if kind.resource.namespaced:
        await kind.backing.namespaces.check_create(kind.resource, namespace, _shown_name(metadata))
    draft = await _draft(kind, context, namespace, tree)
    if context.dry_run:
        return _dry(kind, namespace, draft)
    return await _append(kind, namespace, draft, generated)


def _settle_namespace(kind: ServedKind, metadata: Tree, namespace: str) -> None:
    """The request says the namespace; one that stands in a cluster-wide object means nothing."""
    if not kind.resource.namespaced:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _shown_name(metadata: Tree) -> str:
    """How messages name an object that may have no name yet."""
    return str(metadata.get("name") or metadata.get("generateName") or "")


def _settle_name(kind: ServedKind, metadata: Tree) -> None:
    """Generates a name where that is asked for: after those who change the object, as upstream does."""
    if metadata.get("name") or not metadata.get("generateName"):
        return
    for _ in range(NAME_ATTEMPTS):
        metadata["name"] = names.generated(metadata["generateName"], _RANDOM)
        if kind.newest(metadata.get("namespace", ""), metadata["name"]) is None:
            break


async def _draft(kind: ServedKind, context: RequestContext, namespace: str, tree: Tree) -> Draft:
    attributes = Attributes(
        operation=Operation.CREATE,
        resource=kind.resource,
        namespace=namespace,
        name=tree["metadata"].get("name", ""),
        user=context.user,
        tree=tree,
        dry_run=context.dry_run,
        warnings=context.warnings,
    )
    strategy = kind.strategy
    now = timestamps.format_time(kind.backing.clock.time())
    with blaming_types(kind, tree):
        await kind.backing.admission.mutate(attributes)
        owner_references.keep_each_once(tree["metadata"], context.warnings, owner_references.AFTER_ADMISSION)
        _settle_name(kind, tree["metadata"])
        attributes.name = tree["metadata"].get("name", "")
        stored = kind.view.to_storage(tree)
        _stamp(stored["metadata"], now, strategy.rules.generation)
        strategy.prepare_for_create(stored, Origin(now, context.user, context.warnings))
    reservation = None
    try:
        with blaming_types(kind, tree):
            reservation = strategy.reserve(stored, None, context.dry_run)
        obj = strategy.complete(typed(kind.stored, kind.stored_class, stored))
        mistakes = _mistakes(kind, stored, obj) or _name_missing(stored["metadata"])
        refuse(kind, stored["metadata"].get("name", ""), mistakes)
        context.warnings.extend(strategy.warnings(kind.stored, obj, None))
        if kind.converted:
            attributes.tree = kind.view.from_storage(stored)
        await kind.backing.admission.validate(attributes)
        if kind.custom is not None:
            obj = await kind.custom.sealed(obj)
    except BaseException:
        if reservation is not None:
            reservation.roll_back()
        raise
    return Draft(stored, obj, reservation)


def _stamp(metadata: Tree, now: str, generation: bool) -> None:
    for member in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
        metadata.pop(member, None)
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = now
    if generation:
        metadata["generation"] = 1
    else:
        metadata.pop("generation", None)


def new_uid() -> str:
    """A random UUID (version 4)."""
    digits = os.urandom(16).hex()
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:]}"
    )


def _name_missing(metadata: Tree) -> list[Cause]:
    if metadata.get("name"):
        return []
    return [Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")]


def _mistakes(kind: ServedKind, stored: Tree, obj: msgspec.Struct) -> Sequence[Cause]:
    own = kind.strategy.mistakes(stored, None, "")
    if not kind.converted:
        return [*validation.validate_create(kind.stored, stored, obj), *own]
    shown = kind.view.from_storage(stored)
    obj = typed(kind.resource, kind.served_class, shown)
    return [*validation.validate_create(kind.resource, shown, obj), *own]


def refuse(kind: ServedKind, name: str, mistakes: Sequence[Cause]) -> None:
    """Raises 422 if there are mistakes."""
    if mistakes:
        raise invalid(kind.resource.kind, kind.resource.group, name, mistakes)


def _dry(kind: ServedKind, namespace: str, draft: Draft) -> StoredItem:
    if draft.reservation is not None:
        draft.reservation.roll_back()
    name = draft.tree["metadata"]["name"]
    key = kind.cache.key(namespace, name)
    if key in kind.cache.items:
        raise already_exists(kind.resource.name, kind.resource.group, name)
    return StoredItem(kind.cache.shape, key, namespace, name, 0, codec.encode(draft.obj))


async def _append(kind: ServedKind, namespace: str, draft: Draft, generated: bool) -> StoredItem:
    name, obj = draft.tree["metadata"]["name"], draft.obj
    reservation = draft.reservation
    try:
        for attempt in range(NAME_ATTEMPTS):
            key, value = kind.cache.key(namespace, name), codec.encode(obj)
            try:
                revision = await kind.backing.store.create(key, value)
            except KeyExists:
                if not generated or attempt == NAME_ATTEMPTS - 1:
                    raise already_exists(kind.resource.name, kind.resource.group, name) from None
                name = names.generated(draft.tree["metadata"]["generateName"], _RANDOM)
                obj = _renamed(obj, name)
            else:
                break
    except BaseException:
        if reservation is not None:
            reservation.roll_back()
        raise
    if reservation is not None:
        reservation.commit()
    return kind.written(StoredItem(kind.cache.shape, key, namespace, name, revision, value), obj)


def _renamed(obj: Any, name: str) -> msgspec.Struct:
    renamed: msgspec.Struct = msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, name=name))
    return renamed
