"""NodePorts: two pods cannot have the same host port of one node."""

from __future__ import annotations

import numpy as np

from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import Codes
from podkeeper.scheduler.pod_facts import PodFacts


class NodePorts:
    """Code 1: a wanted port is taken. Only nodes on which somebody has that port are looked at."""

    name = "NodePorts"

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """See Filter."""
        if not pod.host_ports:
            return None
        codes = np.zeros(columns.size, np.uint32)
        for wanted in pod.host_ports:
            for row, taken in columns.host_ports.get((wanted.protocol, wanted.port), {}).items():
                if any(wanted.conflicts(other) for other in taken):
                    codes[row] = 1
        return codes

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """See Filter."""
        return ("node(s) didn't have free ports for the requested pod ports",)

    def curable(self, code: int) -> bool:
        """A port is free once its pod is gone."""
        return True
