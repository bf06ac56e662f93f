"""Garbage collector: dependents go when their last owner is gone; finalizers orphan and foregroundDeletion are served.

It follows every kind that can be listed, watched and deleted, whether owner or dependent, but for events, which go by
themselves; custom kinds come and go with their definitions. Each costs a connection and nothing else while nothing
happens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from podkeeper.api import codec
from podkeeper.api.apiextensions import v1 as apiextensions
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.resources import RESOURCES, for_kind, for_type
from podkeeper.client.api import ResourceClient
from podkeeper.client.informer import Lister
from podkeeper.controllers import garbage
from podkeeper.controllers.framework import Key, Tools, Watch
from podkeeper.controllers.garbage_absence import Absences, Identity, lives_elsewhere
from podkeeper.controllers.garbage_custom import CustomKinds, Held

log = logging.getLogger(__name__)


def _followed() -> tuple[type[Any], ...]:
    """The struct class of every kind in its preferred version."""
    rows: dict[str, Resource] = {}
    for row in RESOURCES:
        if row.enabled and row.name != "events" and row.type_name and {"list", "watch", "delete"} <= set(row.verbs):
            rows.setdefault(row.qualified_name, row)
    return tuple(codec.struct_class(row) for row in rows.values())


KINDS = _followed()
INDEX = "owner"


class GarbageCollector:
    """Keys are objects of all watched kinds: the name of a key is ``<resource>.<group>/<name>``."""

    name = "generic-garbage-collector"
    workers = 8

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._kinds = {for_type(kind).qualified_name: kind for kind in KINDS}
        self._absences = Absences(tools.recorder)
        self._custom = CustomKinds(tools.api, tools.informers, INDEX)
        for kind in KINDS:
            tools.informer(kind).add_index(INDEX, lambda each: [one.uid for one in each.metadata.owner_references])

    def watches(self) -> Sequence[Watch[Any]]:
        """Every kind of ``KINDS``, and those that definitions add."""
        definitions = self._tools.informer(apiextensions.CustomResourceDefinition)
        built_in = [Watch(self._tools.informer(kind), self._changed) for kind in KINDS]
        return [*built_in, Watch(self._custom, self._changed), Watch(definitions, self._defined)]

    def _changed(self, old: Any, new: Any) -> Iterable[Key]:
        if new is None:
            self._absences.note(identity_of(old))
        if new is None or garbage.is_waiting(new.metadata):
            yield from map(key_of, self._dependents((new or old).metadata.uid))
        if new is not None and (new.metadata.owner_references or new.metadata.deletion_timestamp):
            yield key_of(new)
        # An owner may have waited for what is gone now, or is its dependent no more.
        lost = old.metadata.owner_references if old is not None else ()
        if new is None or lost != new.metadata.owner_references:
            yield from self._owner_keys((new or old).metadata.namespace, lost)

    def _defined(self, old: Any, new: Any) -> Iterable[Key]:
        """A definition has changed. What has owners of a kind that was unknown so far is looked at again."""
        if new is None:
            self._custom.forget(old)
            return
        names = {(row.api_version, row.kind) for row in self._custom.follow(new)}
        if names:
            for each in self._all():
                if any((one.api_version, one.kind) in names for one in each.metadata.owner_references):
                    yield key_of(each)

    def _owner_keys(self, namespace: str, references: Iterable[meta.OwnerReference]) -> Iterable[Key]:
        for each in references:
            resource = self._resource(each)
            if resource is not None and self._lister(resource.qualified_name) is not None:
                where = namespace if resource.namespaced else ""
                yield Key(where, f"{resource.qualified_name}/{each.name}")

    def _dependents(self, uid: str) -> list[Any]:
        return [each for lister in self._listers() for each in lister.by_index(INDEX, uid)]

    def _all(self) -> Iterable[Any]:
        return (each for lister in self._listers() for each in lister)

    def _listers(self) -> Iterable[Lister[Any]]:
        yield from map(self._tools.lister, KINDS)
        yield from self._custom.listers()

    def _lister(self, qualified_name: str) -> Lister[Any] | None:
        """The local copy of a resource; None if it is not followed."""
        kind = self._kinds.get(qualified_name)
        return self._custom.lister(qualified_name) if kind is None else self._tools.lister(kind)

    def _resource(self, reference: meta.OwnerReference) -> Resource | None:
        """The resource of an owner, None for a kind or version that nobody serves."""
        group, _, version = reference.api_version.rpartition("/")
        return for_kind(group, version, reference.kind) or self._custom.resource(group, version, reference.kind)

    async def reconcile(self, key: Key) -> None:
        """One step towards what the object's owners, dependents and finalizers mean."""
        resource, _, name = key.name.partition("/")
        lister = self._lister(resource)
        obj = None if lister is None else lister.get(key.namespace, name)
        if obj is None:
            return
        metadata = obj.metadata
        owners = {}
        if not metadata.deletion_timestamp:
            owners = {each.uid: await self._state(metadata.namespace, each) for each in metadata.owner_references}
            self._tell_of_foreign(obj, owners)
        dependents = self._dependents(metadata.uid)
        await self._carry_out(obj, garbage.plan_of(metadata, owners, dependents), dependents)

    async def _carry_out(self, obj: Any, plan: garbage.Plan, dependents: Sequence[Any]) -> None:
        match plan:
            case garbage.Delete(propagation):
                await self._delete(obj, propagation)
            case garbage.SetOwners(references):
                await self._set_owners(obj, references)
            case garbage.Orphan():
                for each in dependents:
                    await self._set_owners(each, garbage.without_owner(each.metadata, obj.metadata.uid))
                await self._release(obj, garbage.ORPHAN)
            case garbage.Release(finalizer):
                await self._release(obj, finalizer)

    async def _state(self, namespace: str, reference: meta.OwnerReference) -> garbage.OwnerState:
        said = reference.api_version, reference.kind
        places = {Identity(*said, where, reference.name, reference.uid) for where in ("", namespace)}
        if any(each in self._absences for each in places):
            return garbage.OwnerState.ABSENT
        resource = self._resource(reference)
        if resource is None or (resource.namespaced and not namespace):
            log.debug("owner %s %s cannot be looked up", reference.kind, reference.name)
            return garbage.OwnerState.UNKNOWN
        where = namespace if resource.namespaced else ""
        lister = self._lister(resource.qualified_name)
        owner = None if lister is None else lister.get(where, reference.name)
        if owner is None or owner.metadata.uid != reference.uid:
            # The local copy may be behind that of the dependent: only the server's word counts.
            found = await self._look_up(resource, Identity(*said, where, reference.name, reference.uid))
        else:
            found = owner.metadata
        if found is None:
            return garbage.OwnerState.ABSENT
        return garbage.OwnerState.WAITING if garbage.is_waiting(found) else garbage.OwnerState.PRESENT

    async def _look_up(self, resource: Resource, owner: Identity) -> meta.ObjectMeta | None:
        try:
            tree = await self._tools.api.of_resource(resource).get(owner.name, owner.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            tree = {}
        found = msgspec.convert(tree.get("metadata", {}), meta.ObjectMeta)
        if found.uid == owner.uid:
            return found
        self._absences.note(owner)
        return None

    def _tell_of_foreign(self, obj: Any, states: Mapping[str, garbage.OwnerState]) -> None:
        """Says of references whose owners are in another namespace that they lead nowhere."""
        for reference in obj.metadata.owner_references:
            if states[reference.uid] not in (garbage.OwnerState.ABSENT, garbage.OwnerState.UNKNOWN):
                continue
            resource = self._resource(reference)
            lister = self._lister(resource.qualified_name) if resource is not None else None
            if lister is not None and lives_elsewhere(reference.uid, obj.metadata.namespace, lister):
                self._absences.tell(identity_of(obj), reference)

    async def _delete(self, obj: Any, propagation: str) -> None:
        """The version is a precondition: owners that the object got in the meantime must be asked first."""
        metadata = obj.metadata
        try:
            await self._client(obj).delete(
                metadata.name,
                metadata.namespace,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
                propagation=propagation,
            )
        except ApiError as error:
            if error.code != 404:
                raise

    def _client(self, obj: Any) -> ResourceClient[Any]:
        api = self._tools.api
        return api.of_resource(obj.resource) if isinstance(obj, Held) else api.of(type(obj))

    async def _set_owners(self, obj: Any, references: Sequence[meta.OwnerReference]) -> None:
        await self._patch(obj, {"ownerReferences": [msgspec.to_builtins(each) for each in references] or None})

    async def _release(self, obj: Any, finalizer: str) -> None:
        await self._patch(obj, {"finalizers": [each for each in obj.metadata.finalizers if each != finalizer] or None})

    async def _patch(self, obj: Any, change: dict[str, Any]) -> None:
        metadata = obj.metadata
        patch = {"metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version, **change}}
        try:
            await self._client(obj).patch(metadata.name, patch, metadata.namespace)
        except ApiError as error:
            if error.code != 404:
                raise


def key_of(obj: Any) -> Key:
    """The collector's key of an object."""
    return Key(obj.metadata.namespace, f"{resource_of(obj).qualified_name}/{obj.metadata.name}")


def resource_of(obj: Any) -> Resource:
    """The row of what is followed."""
    return obj.resource if isinstance(obj, Held) else for_type(type(obj))


def identity_of(obj: Any) -> Identity:
    """What references to an object say of it."""
    row, metadata = resource_of(obj), obj.metadata
    return Identity(row.api_version, row.kind, metadata.namespace, metadata.name, metadata.uid)
