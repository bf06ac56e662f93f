"""ServiceAccounts name secrets of their own namespace and nothing else about them."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Strategy, Tree


class ServiceAccountStrategy(Strategy):
    """Source: upstream's serviceaccount strategy."""

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Only names stay in the references."""
        _only_names(tree)

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """Only names stay in the references."""
        _only_names(new)


def _only_names(tree: Tree) -> None:
    if tree.get("secrets"):
        tree["secrets"] = [{"name": each["name"]} if each.get("name") else {} for each in tree["secrets"]]
