"""Jobs: unless the client manages the selector, it is made from the job's uid and put on the pod template.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#specifying-your-own-pod-selector
"""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree

UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
OLD_UID_LABEL, OLD_NAME_LABEL = "controller-uid", "job-name"


class JobStrategy(Strategy):
    """Dependents are orphaned by default, as ever in batch/v1."""

    rules = Rules(generation=True, status=True, orphan_by_default=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """The pod template's labels, and the selector unless it is the client's."""
        tree["status"] = {}
        spec, metadata = tree["spec"], tree["metadata"]
        if spec.get("manualSelector"):
            return
        template = spec.setdefault("template", {}).setdefault("metadata", {})
        labels = template["labels"] = dict(template.get("labels") or {})
        labels |= {OLD_NAME_LABEL: metadata.get("name", ""), NAME_LABEL: metadata.get("name", "")}
        labels |= {OLD_UID_LABEL: metadata["uid"], UID_LABEL: metadata["uid"]}
        selector = spec["selector"] = dict(spec.get("selector") or {})
        selector["matchLabels"] = (selector.get("matchLabels") or {}) | {UID_LABEL: metadata["uid"]}
        # A job without labels of its own has its template's: so says the default, which saw the template too early.
        metadata["labels"] = metadata.get("labels") or dict(labels)
