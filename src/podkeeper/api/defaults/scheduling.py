"""PriorityClass and RuntimeClass."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import fill, round_amounts

Tree = dict[str, Any]


def priority_class(tree: Tree) -> None:
    """PriorityClass: its pods preempt."""
    fill(tree, "preemptionPolicy", "PreemptLowerPriority")


def runtime_class(tree: Tree) -> None:
    """RuntimeClass: the overhead in thousandths."""
    round_amounts((tree.get("overhead") or {}).get("podFixed"))
