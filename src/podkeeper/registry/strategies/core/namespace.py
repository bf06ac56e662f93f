"""Namespaces: held by spec.finalizers until the namespace controller has emptied them.

Active ──DELETE──► Terminating (deletionTimestamp) ──finalize with no finalizers left──► gone
"""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree, keep

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    """Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/"""

    rules = Rules(status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Active, with our finalizer and the label that names it."""
        tree["status"] = {"phase": "Active"}
        finalizers = (tree.get("spec") or {}).get("finalizers") or []
        tree["spec"] = {"finalizers": finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER]}
        self._label(tree)

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """Finalizers change through the finalize subresource alone."""
        keep(new, old, "spec")
        keep(new, old, "status")
        self._label(new)

    def prepare_for_subresource(self, subresource: str, new: Tree, old: Tree) -> None:
        """``finalize``."""
        keep(new, old, "status")

    def prepare_for_deletion(self, tree: Tree) -> None:
        """Nothing new is created in it from now on. A namespace has no grace, and does not say so."""
        tree["metadata"].pop("deletionGracePeriodSeconds", None)
        tree.setdefault("status", {})["phase"] = "Terminating"

    def holds_deletion(self, tree: Tree) -> bool:
        """As long as finalizers stand in the spec."""
        return bool((tree.get("spec") or {}).get("finalizers"))

    def _label(self, tree: Tree) -> None:
        metadata = tree["metadata"]
        if metadata.get("name"):
            metadata["labels"] = (metadata.get("labels") or {}) | {NAME_LABEL: metadata["name"]}
