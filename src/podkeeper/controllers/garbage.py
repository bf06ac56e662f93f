"""What becomes of an object because of its owners and dependents: pure decisions, for the garbage collector.

    owners all gone ----------------------------------------> deleted
    some gone, some there ----------------------------------> references to the gone ones removed
    owners wait for their dependents (foreground) ----------> deleted, in the foreground if it has dependents itself
    being deleted, finalizer orphan ------------------------> dependents lose their reference, finalizer removed
    being deleted, finalizer foregroundDeletion ------------> dependents first, then finalizer removed
Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api.meta import v1 as meta

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class OwnerState(Enum):
    """What is known of an owner."""

    PRESENT = "present"
    WAITING = "waiting for its dependents"
    ABSENT = "absent"
    UNKNOWN = "of a kind that is not known, or out of reach: the dependent stays"


class Delete(Struct, frozen=True):
    """Delete the object with that propagation policy."""

    propagation: str


class SetOwners(Struct, frozen=True):
    """Give the object these owner references."""

    references: tuple[meta.OwnerReference, ...]


class Orphan(Struct, frozen=True):
    """Take the object's references from its dependents, then the finalizer from the object."""


class Release(Struct, frozen=True):
    """Take the finalizer from the object: nothing blocks its end any more."""

    finalizer: str


Plan = Delete | SetOwners | Orphan | Release | None


def plan_of(metadata: meta.ObjectMeta, owners: Mapping[str, OwnerState], dependents: Sequence[Any]) -> Plan:
    """What to do with an object. ``owners`` by UID; ``dependents`` are the objects that refer to it."""
    if metadata.deletion_timestamp:
        return _plan_of_deleted(metadata, dependents)
    states = [owners[each.uid] for each in metadata.owner_references]
    if not states:
        return None
    if OwnerState.PRESENT in states or OwnerState.UNKNOWN in states:
        kept = tuple(
            each
            for each in metadata.owner_references
            if owners[each.uid] in (OwnerState.PRESENT, OwnerState.UNKNOWN)
            # Nothing is taken away while it is unknown whether anything else is left.
            or OwnerState.PRESENT not in states
        )
        return SetOwners(kept) if len(kept) < len(states) else None
    if OwnerState.WAITING in states and dependents:
        return _plan_of_middle(metadata, dependents)
    return Delete(propagation_of(metadata))


def propagation_of(metadata: meta.ObjectMeta) -> str:
    """The policy that an object's own finalizers ask for."""
    if ORPHAN in metadata.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in metadata.finalizers else "Background"


def is_waiting(metadata: meta.ObjectMeta) -> bool:
    """Whether an object's foreground deletion is under way."""
    return bool(metadata.deletion_timestamp) and FOREGROUND in metadata.finalizers


def blocks(owner_uid: str, dependent: meta.ObjectMeta) -> bool:
    """Whether the owner's foreground deletion waits for this dependent."""
    return any(each.uid == owner_uid and each.block_owner_deletion for each in dependent.owner_references)


def without_owner(metadata: meta.ObjectMeta, uid: str) -> tuple[meta.OwnerReference, ...]:
    """The owner references but for that one."""
    return tuple(each for each in metadata.owner_references if each.uid != uid)


def _plan_of_deleted(metadata: meta.ObjectMeta, dependents: Sequence[Any]) -> Plan:
    if ORPHAN in metadata.finalizers:
        return Orphan()
    if FOREGROUND not in metadata.finalizers:
        return None
    blocking = any(blocks(metadata.uid, each.metadata) for each in dependents)
    return None if blocking else Release(FOREGROUND)


def _plan_of_middle(metadata: meta.ObjectMeta, dependents: Sequence[Any]) -> Plan:
    """Its owner waits for it and it has dependents of its own. In a circle, it no longer blocks its owner."""
    if any(is_waiting(each.metadata) for each in dependents):
        unblocked = tuple(
            msgspec.structs.replace(each, block_owner_deletion=False) if each.block_owner_deletion else each
            for each in metadata.owner_references
        )
        if unblocked != metadata.owner_references:
            return SetOwners(unblocked)
    return Delete("Foreground")
