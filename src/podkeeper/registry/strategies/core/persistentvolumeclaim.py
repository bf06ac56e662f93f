"""PersistentVolumeClaims begin Pending."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree


class PersistentVolumeClaimStrategy(Strategy):
    """Source: upstream's persistentvolumeclaim strategy."""

    rules = Rules(status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Not bound yet; ``dataSource`` and ``dataSourceRef`` say the same."""
        tree["status"] = {"phase": "Pending"}
        spec = tree.get("spec") or {}
        source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
        if source and not reference:
            spec["dataSourceRef"] = dict(source)
        elif reference and not source and not reference.get("namespace"):
            spec["dataSource"] = dict(reference)
