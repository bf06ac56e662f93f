"""DefaultTolerationSeconds: pods stay a while on a node that is not ready or unreachable, unless they say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.admission.plugin import Plugin, interest
from podkeeper.apiserver.config import AdmissionConfig
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds(Plugin):
    """Adds the two tolerations."""

    interest = interest("CREATE UPDATE", "/pods")

    def __init__(self, live: LiveObjects, config: AdmissionConfig) -> None:
        super().__init__(live)
        self._seconds = {NOT_READY: config.not_ready_toleration, UNREACHABLE: config.unreachable_toleration}

    async def mutate(self, attributes: Attributes) -> None:
        """Adds what the pod has no word about."""
        assert attributes.tree is not None
        spec = attributes.tree.setdefault("spec", {})
        present = spec.get("tolerations") or []
        added = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            for key, seconds in self._seconds.items()
            if not any(_speaks_of(toleration, key) for toleration in present)
        ]
        if added:
            spec["tolerations"] = [*present, *added]


def _speaks_of(toleration: Mapping[str, Any], key: str) -> bool:
    return toleration.get("key") in (key, "", None) and toleration.get("effect") in ("NoExecute", "", None)
