"""What the conditions of a namespace that is going say: pure, in upstream's words.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.api.pods import conditions


class Contents(Struct, frozen=True):
    """What is left after a round of deleting: objects by ``plural.group``, finalizers that hold them, what failed, and
    versions of groups (``example.com/v1``) of which nobody could say what they have."""

    remaining: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: tuple[str, ...] = ()
    undiscovered: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remaining or self.failures or self.undiscovered)


def conditions_of(present: Sequence[v1.NamespaceCondition], left: Contents, now: str) -> list[v1.NamespaceCondition]:
    """All conditions, in upstream's order; one that says nothing new keeps its time, others' stay."""
    told = {each.type: each for each in _told(left)}
    kept = [each for each in present if each.type not in told]
    return [*kept, *(_stamped(conditions.find(present, kind), each, now) for kind, each in told.items())]


def _told(left: Contents) -> Sequence[v1.NamespaceCondition]:
    failed = f"Failed to delete all resource types, {len(left.failures)} remaining: {', '.join(left.failures)}"
    objects = f"Some resources are remaining: {_listed(left.remaining, '{} has {} resource instances')}"
    held = _listed(left.finalizers, "{} in {} resource instances")
    return (
        _condition("NamespaceDeletionDiscoveryFailure", "DiscoveryFailed", _undiscovered(left.undiscovered), "True")
        if left.undiscovered
        else _condition(
            "NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition("NamespaceDeletionContentFailure", "ContentDeletionFailed", failed, "True")
        if left.failures
        else _condition(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _condition("NamespaceContentRemaining", "SomeResourcesRemain", objects, "True")
        if left.remaining
        else _condition("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
        _condition(
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {held}",
            "True",
        )
        if left.finalizers
        else _condition(
            "NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
        ),
    )


def _undiscovered(versions: Sequence[str]) -> str:
    listed = ", ".join(f"{each}: stale GroupVersion discovery: {each}" for each in sorted(versions))
    why = f"unable to retrieve the complete list of server APIs: {listed}"
    return f"Discovery failed for some groups, {len(versions)} failing: {why}"


def _condition(kind: str, reason: str, message: str, status: str = "False") -> v1.NamespaceCondition:
    return v1.NamespaceCondition(type=kind, status=status, reason=reason, message=message)


def _listed(counts: Mapping[str, int], text: str) -> str:
    return ", ".join(text.format(name, count) for name, count in sorted(counts.items()))


def _stamped(present: v1.NamespaceCondition | None, new: v1.NamespaceCondition, now: str) -> v1.NamespaceCondition:
    same_status = present is not None and present.status == new.status
    since = present.last_transition_time if present is not None and same_status else now
    return msgspec.structs.replace(new, last_transition_time=since)
