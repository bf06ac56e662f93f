"""TaintNodesByCondition: a new node is not-ready until the node controller has seen it."""

from __future__ import annotations

from podkeeper.apiserver.admission.plugin import Plugin, interest
from podkeeper.registry.admission import Attributes

_TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """Adds the taint."""

    interest = interest("CREATE", "/nodes")

    async def mutate(self, attributes: Attributes) -> None:
        """Adds it unless the node has it."""
        assert attributes.tree is not None
        spec = attributes.tree.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any((each.get("key"), each.get("effect")) == (_TAINT["key"], _TAINT["effect"]) for each in taints):
            spec["taints"] = [*taints, dict(_TAINT)]
