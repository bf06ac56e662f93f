"""APIServices: those that this server answers itself are available from the start."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree


class APIServiceStrategy(Strategy):
    """Source: upstream's apiservice strategy."""

    rules = Rules(status=True, unconditional_update=False)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """No status yet, unless the service is local."""
        tree["status"] = {}
        if not (tree.get("spec") or {}).get("service"):
            condition = {
                "type": "Available",
                "status": "True",
                "reason": "Local",
                "message": "Local APIServices are always available",
                "lastTransitionTime": origin.now,
            }
            tree["status"]["conditions"] = [condition]
