"""Nodes register with their status; later it changes through the subresource alone."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree


class NodeStrategy(Strategy):
    """Source: upstream's node strategy."""

    rules = Rules(status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """The kubelet sends capacity and addresses along."""
