"""PodNodeSelector: a namespace says on which nodes its pods may run. Off unless it is switched on.

Source: Kubernetes, "Admission Control in Kubernetes", PodNodeSelector.
"""

from __future__ import annotations

from podkeeper.api.selectors import labels as label_selectors
from podkeeper.apiserver.admission.matching import namespace_of
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.apiserver.config import AdmissionConfig
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes

_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
_DEFAULT = "clusterDefaultNodeSelector"


class PodNodeSelector(Plugin):
    """Gives pods their namespace's selector, and keeps them within what the namespace may have."""

    interest = interest("CREATE", "/pods")

    def __init__(self, live: LiveObjects, config: AdmissionConfig) -> None:
        super().__init__(live)
        self._configured = {name: equalities(text) for name, text in config.node_selectors.items()}

    async def mutate(self, attributes: Attributes) -> None:
        """Adds the namespace's labels. Raises 403 where the pod says otherwise."""
        assert attributes.tree is not None
        spec = attributes.tree.setdefault("spec", {})
        own, wanted = spec.get("nodeSelector") or {}, await self._of_namespace(attributes)
        if any(own.get(key, value) != value for key, value in wanted.items()):
            raise forbidden(attributes, "pod node label selector conflicts with its namespace node label selector")
        if wanted:
            spec["nodeSelector"] = {**own, **wanted}

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for a selector beyond the namespace's whitelist."""
        allowed = self._configured.get(attributes.namespace)
        selector = ((attributes.tree or {}).get("spec") or {}).get("nodeSelector") or {}
        if allowed and any(allowed.get(key) != value for key, value in selector.items()):
            raise forbidden(attributes, "pod node label selector labels conflict with its namespace whitelist")

    async def _of_namespace(self, attributes: Attributes) -> dict[str, str]:
        namespace = await namespace_of(attributes.namespace, self.live) or {"metadata": {}}
        text = (namespace["metadata"].get("annotations") or {}).get(_ANNOTATION)
        return self._configured.get(_DEFAULT, {}) if text is None else equalities(text)


def equalities(text: str) -> dict[str, str]:
    """The labels of a selector such as ``a=b,c=d``."""
    return dict(label_selectors.parse(text).equalities)
