"""Who owns what: the controller reference of an object, and the claim of a controller to what its selector means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.selectors.labels import Selector
from podkeeper.controllers.framework import Tools

T = TypeVar("T")


def controller_of(obj: Any) -> meta.OwnerReference | None:
    """The one owner that manages the object."""
    return next((each for each in obj.metadata.owner_references if each.controller), None)


def controller_uid(obj: Any) -> str:
    """The UID of the managing owner, empty for an orphan; the index under which dependents are found."""
    owner = controller_of(obj)
    return owner.uid if owner else ""


def reference_to(owner: Any) -> meta.OwnerReference:
    """A controller reference to ``owner``, which its foreground deletion waits for."""
    return meta.OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


class Claim(Struct, Generic[T], frozen=True):
    """What to do so that the owner has what it selects and nothing else."""

    owned: tuple[T, ...]
    adopt: tuple[T, ...]
    release: tuple[T, ...]


def decide_claim(owner: Any, selector: Selector, candidates: Iterable[T]) -> Claim[T]:
    """Sorts candidates of the owner's namespace: own ones that match, orphans to adopt, own ones that do not match."""
    owned: list[T] = []
    adopt: list[T] = []
    release: list[T] = []
    going = bool(owner.metadata.deletion_timestamp)
    for each in candidates:
        obj: Any = each
        uid, matches = controller_uid(obj), selector.matches(obj.metadata.labels)
        if uid == owner.metadata.uid:
            (owned if matches else release).append(each)
        elif not uid and matches and not going and not obj.metadata.deletion_timestamp:
            adopt.append(each)
    return Claim(tuple(owned), tuple(adopt), () if going else tuple(release))


async def carry_out(tools: Tools, owner: Any, kind: type[T], claim: Claim[T]) -> tuple[T, ...]:
    """Adopts and releases through patches that hold for these very objects; returns what is owned afterwards."""
    client = tools.api.of(kind)
    adopted: list[T] = []
    reference = msgspec.to_builtins(reference_to(owner))
    for each in claim.adopt:
        obj: Any = each
        patch = {"metadata": {"uid": obj.metadata.uid, "ownerReferences": [reference]}}
        adopted.append(await client.patch(obj.metadata.name, patch, obj.metadata.namespace))
    for each in claim.release:
        obj = each
        others = [msgspec.to_builtins(one) for one in obj.metadata.owner_references if one.uid != owner.metadata.uid]
        patch = {"metadata": {"uid": obj.metadata.uid, "ownerReferences": others or None}}
        try:
            await client.patch(obj.metadata.name, patch, obj.metadata.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
    return (*claim.owned, *adopted)
