"""NodeName: a pod that names its node runs there or nowhere."""

from __future__ import annotations

import numpy as np

from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import Codes
from podkeeper.scheduler.pod_facts import PodFacts


class NodeName:
    """Code 1: another node is named."""

    name = "NodeName"

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """See Filter."""
        if not pod.spec.node_name:
            return None
        codes = np.ones(columns.size, np.uint32)
        row = columns.row(pod.spec.node_name)
        if row is not None:
            codes[row] = 0
        return codes

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """See Filter."""
        return ("node(s) didn't match the requested node name",)

    def curable(self, code: int) -> bool:
        """Removing pods does not rename a node."""
        return False
