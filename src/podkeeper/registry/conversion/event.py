"""Events: core/v1 (stored) and events.k8s.io/v1 are one object in two wordings.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ (fields named deprecated* there
are the core ones).
"""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]

#: events.k8s.io -> core. Fields of the same name in both (reason, type, action, eventTime, series, related) stay.
_NAMES = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_REVERSED = {core: new for new, core in _NAMES.items()}
#: Members that Go prints empty in core Events and leaves out of the newer ones.
_REPORTERS = ("reportingController", "reportingInstance")


def to_core(tree: Tree) -> Tree:
    """An events.k8s.io/v1 Event as a core one."""
    return _renamed(tree, _NAMES, "v1")


def from_core(tree: Tree) -> Tree:
    """A core Event as an events.k8s.io/v1 one."""
    renamed = _renamed(tree, _REVERSED, "events.k8s.io/v1")
    for member in _REPORTERS:
        if renamed.get(member) == "":
            del renamed[member]
    return renamed


def _renamed(tree: Tree, names: dict[str, str], api_version: str) -> Tree:
    renamed = {names.get(key, key): value for key, value in tree.items()}
    return renamed | {"apiVersion": api_version, "kind": "Event"}
