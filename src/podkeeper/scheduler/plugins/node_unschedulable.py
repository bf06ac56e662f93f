"""NodeUnschedulable: a cordoned node takes only pods that tolerate being put there."""

from __future__ import annotations

import numpy as np

from podkeeper.api.core import v1
from podkeeper.api.pods.tolerations import tolerates
from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import Codes
from podkeeper.scheduler.pod_facts import PodFacts

TAINT = v1.Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable:
    """Code 1: cordoned."""

    name = "NodeUnschedulable"

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """See Filter."""
        if not columns.unschedulable.any() or any(tolerates(each, TAINT) for each in pod.spec.tolerations):
            return None
        return columns.unschedulable.astype(np.uint32)

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """See Filter."""
        return ("node(s) were unschedulable",)

    def curable(self, code: int) -> bool:
        """Removing pods does not uncordon a node."""
        return False
