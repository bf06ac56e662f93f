"""Deployments: a new generation also for changed annotations, which the rollout carries along."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.registry.strategies.base import Rules, Strategy, Tree


class DeploymentStrategy(Strategy):
    """Source: upstream's deployment strategy."""

    rules = Rules(generation=True, status=True)

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """Spec or annotations."""
        after: Any = new
        before: Any = old
        return bool(after.spec != before.spec or after.metadata.annotations != before.metadata.annotations)

    def prepare_for_status_update(self, new: Tree, old: Tree) -> None:
        """Labels stay too."""
        super().prepare_for_status_update(new, old)
        new["metadata"]["labels"] = old["metadata"].get("labels") or {}
