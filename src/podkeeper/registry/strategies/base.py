"""What is particular about a kind, as hooks that the generic verbs call; every hook has the usual behaviour as its
default.

Trees are plain JSON trees of the stored version, defaults applied and types checked; hooks change the new tree in place
and never the old one. ``Rules`` is the part that is data: a kind that needs no more has a row in ``strategies.table``
and no module of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from podkeeper.api import warnings
from podkeeper.api.user import UserInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podkeeper.api.catalogue import Resource
    from podkeeper.api.errors import Cause

Tree = dict[str, Any]


class Rules(Struct, frozen=True):
    """Facts about a kind.

    generation: metadata.generation counts changes of everything but metadata and status.
    status: there is a status subresource; the main resource cannot change the status, nor the other way round.
    status_keeps_metadata: a status update changes no labels, annotations, finalizers or owners either.
    create_on_update: PUT of an object that is not there creates it.
    unconditional_update: PUT may leave out the resourceVersion.
    orphan_by_default: DELETE without a propagationPolicy leaves dependents behind.
    """

    generation: bool = False
    status: bool = False
    status_keeps_metadata: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True
    orphan_by_default: bool = False


class Origin(Struct, frozen=True):
    """Who creates an object, and when (an RFC 3339 time); ``warnings`` is what he is told with the answer."""

    now: str
    user: UserInfo
    warnings: list[str]


class Reservation:
    """What a write claimed outside its object (addresses, ports). Exactly one of the two is called."""

    def commit(self) -> None:
        """The write happened."""

    def roll_back(self) -> None:
        """The write did not happen."""


class Strategy:
    """The usual behaviour. Subclasses override what differs."""

    rules = Rules()

    def __init__(self, rules: Rules | None = None) -> None:
        if rules is not None:
            self.rules = rules

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.rules}>"

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Resets what clients may not set, and sets what the server does."""
        if self.rules.status:
            tree.pop("status", None)

    def complete(self, obj: msgspec.Struct) -> msgspec.Struct:
        """A new object as a struct: what is worked out from it is set."""
        return obj

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """The same for an update of the main resource."""
        if self.rules.status:
            keep(new, old, "status")

    def prepare_for_status_update(self, new: Tree, old: Tree) -> None:
        """Keeps everything but the status; labels and annotations may be changed along with it."""
        for member in (*new, *old):
            if member not in ("apiVersion", "kind", "metadata", "status"):
                keep(new, old, member)
        if self.rules.status_keeps_metadata:
            keep_metadata(new, old)

    def prepare_for_subresource(self, subresource: str, new: Tree, old: Tree) -> None:
        """An update through another subresource of the same kind, such as ``ephemeralcontainers``."""
        raise NotImplementedError(f"{type(self).__name__} has no subresource {subresource}")

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """Whether an update counts as a new generation."""
        for name in new.__struct_fields__:
            if name not in ("api_version", "kind", "metadata", "status") and getattr(new, name) != getattr(old, name):
                return True
        return False

    def mistakes(self, tree: Tree, old: Tree | None, subresource: str) -> Sequence[Cause]:
        """What only this registry can judge, beside ``api.validation``."""
        return ()

    def warnings(self, resource: Resource, new: msgspec.Struct, old: msgspec.Struct | None) -> Sequence[str]:
        """What the client is told about a good object, new or (with ``old``) changed through the main resource."""
        return warnings.of(resource, new, old)

    def reserve(self, tree: Tree, old: Tree | None, dry_run: bool) -> Reservation | None:
        """Claims what the object needs outside itself and writes it into ``tree``. Raises ApiError."""
        return None

    def release(self, tree: Tree) -> None:
        """The object is gone: gives back what it had claimed."""

    def grace_period(self, tree: Tree, requested: int | None) -> int | None:
        """Seconds between the request to delete and the end; None: the kind knows no grace."""
        return None

    def prepare_for_deletion(self, tree: Tree) -> None:
        """The object gets its deletionTimestamp now."""

    def holds_deletion(self, tree: Tree) -> bool:
        """Whether something beside metadata.finalizers keeps a deleted object in existence."""
        return False


def keep(new: Tree, old: Tree, member: str) -> None:
    """Makes a member what it was before."""
    if member in old:
        new[member] = old[member]
    else:
        new.pop(member, None)


def keep_metadata(new: Tree, old: Tree) -> None:
    """Makes the metadata that clients may set what it was before."""
    for member in ("labels", "annotations", "finalizers", "ownerReferences"):
        keep(new["metadata"], old["metadata"], member)
