"""PodTopologyLabels: a pod carries the zone and region of its node, from its binding on."""

from __future__ import annotations

from podkeeper.apiserver.admission.plugin import Plugin, interest
from podkeeper.registry.admission import Attributes

_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    """Labels bindings, whose labels the pod takes over, and pods that are created on a node."""

    interest = interest("CREATE", "/pods/binding", "/pods")

    async def mutate(self, attributes: Attributes) -> None:
        """Adds the labels that the node has; they replace what the pod says itself."""
        assert attributes.tree is not None
        if attributes.subresource:
            target = attributes.tree.get("target") or {}
            name = target.get("name") if target.get("kind") in (None, "", "Node") else None
        else:
            name = (attributes.tree.get("spec") or {}).get("nodeName")
        node = await self.live.get("", "nodes", "", name) if name else None
        if node is None:
            return
        present = node["metadata"].get("labels") or {}
        found = {label: present[label] for label in _LABELS if label in present}
        if found:
            metadata = attributes.tree.setdefault("metadata", {})
            metadata["labels"] = (metadata.get("labels") or {}) | found
