"""PersistentVolumes begin Pending."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree


class PersistentVolumeStrategy(Strategy):
    """Source: upstream's persistentvolume strategy."""

    rules = Rules(status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Not bound yet."""
        tree["status"] = {"phase": "Pending", "lastPhaseTransitionTime": origin.now}

    def prepare_for_status_update(self, new: Tree, old: Tree) -> None:
        """A change of phase is dated, unless the client dates it."""
        super().prepare_for_status_update(new, old)
        status, before = new.setdefault("status", {}), old.get("status") or {}
        if status.get("phase") == before.get("phase") and before.get("lastPhaseTransitionTime"):
            status.setdefault("lastPhaseTransitionTime", before["lastPhaseTransitionTime"])
