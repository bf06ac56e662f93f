"""Secrets: ``stringData`` is folded into ``data`` when written and never stored."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from podkeeper.api.errors import Cause
from podkeeper.registry.strategies.base import Origin, Strategy, Tree


class SecretStrategy(Strategy):
    """Source: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/"""

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Folds plain text in."""
        _fold(tree)

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """Folds plain text in; a missing type stays what it was."""
        _fold(new)
        if not new.get("type") and old.get("type"):
            new["type"] = old["type"]

    def mistakes(self, tree: Tree, old: Tree | None, subresource: str) -> Sequence[Cause]:
        """None of its own."""
        return ()


def _fold(tree: Tree) -> None:
    plain = tree.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        tree["data"] = (tree.get("data") or {}) | encoded
