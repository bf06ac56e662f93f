"""flowcontrol.apiserver.k8s.io/v1: FlowSchema and PriorityLevelConfiguration."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill, fill_empty

Tree = dict[str, Any]


def flow_schema(tree: Tree) -> None:
    """FlowSchema: precedence 1000."""
    fill_empty(child(tree, "spec"), "matchingPrecedence", 1000)


def priority_level(tree: Tree) -> None:
    """PriorityLevelConfiguration: shares, nothing lent, and the measures of a queue."""
    spec = child(tree, "spec")
    if (exempt := spec.get("exempt")) is not None:
        fill(exempt, "nominalConcurrencyShares", 0)
        fill(exempt, "lendablePercent", 0)
    if (limited := spec.get("limited")) is not None:
        fill(limited, "nominalConcurrencyShares", 30)
        fill(limited, "lendablePercent", 0)
        if (queuing := (limited.get("limitResponse") or {}).get("queuing")) is not None:
            for key, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
                fill_empty(queuing, key, value)
