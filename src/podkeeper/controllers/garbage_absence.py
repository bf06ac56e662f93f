"""Owners that are not there: which are known to be gone, and references that lead into another namespace.

An owner is known by everything that a reference says of it. By its UID alone a wrong reference, from wherever, would
make it absent for its true dependents too. Source: Kubernetes documentation, Garbage Collection, "Cross-namespace
owner references".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.client.events import EventRecorder

REMEMBERED = 500
REASON = "OwnerRefInvalidNamespace"


class Identity(NamedTuple):
    """An object as a reference to it says; the namespace is empty for the cluster's."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


class _Few(OrderedDict[Any, None]):
    """The last things that were added."""

    def add(self, thing: Any) -> None:
        self[thing] = None
        if len(self) > REMEMBERED:
            self.popitem(last=False)


class Absences:
    """What is remembered of absent owners, and of what has been told about references."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._gone, self._told = _Few(), _Few()

    def note(self, owner: Identity) -> None:
        """That object is gone for good."""
        self._gone.add(owner)

    def __contains__(self, owner: Identity) -> bool:
        return owner in self._gone

    def tell(self, dependent: Identity, reference: meta.OwnerReference) -> None:
        """Says, once, that the owner is in another namespace than its dependent looks for it in."""
        if (dependent.uid, reference.uid) in self._told:
            return
        self._told.add((dependent.uid, reference.uid))
        kind = f"{reference.api_version}/{reference.kind}"
        named = f"namespace: {dependent.namespace}, name: {reference.name}, uid: {reference.uid}"
        text = f'ownerRef [{kind}, {named}] does not exist in namespace "{dependent.namespace}"'
        self._recorder.event(v1.ObjectReference(**dependent._asdict()), "Warning", REASON, text)


def lives_elsewhere(uid: str, namespace: str, objects: Iterable[Any]) -> bool:
    """Whether an object is there, but in another namespace; no namespace is a cluster-wide dependent's."""
    return any(each.metadata.uid == uid and each.metadata.namespace not in ("", namespace) for each in objects)
