"""NodeResourcesBalancedAllocation: nodes whose CPU and memory would be used in the same measure are better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import MAX_SCORE, Scores
from podkeeper.scheduler.pod_facts import PodFacts


class BalancedAllocation:
    """For two resources the standard deviation of their used fractions is half their distance."""

    name = "NodeResourcesBalancedAllocation"
    weight = 1.0

    def score(self, pod: PodFacts, columns: Columns, fits: NDArray[np.intp]) -> Scores | None:
        """See Score; a pod that asks for nothing has no preference."""
        if not pod.requests.keys() & {"cpu", "memory"}:
            return None
        fractions: list[Scores] = []
        for resource in ("cpu", "memory"):
            capacity = np.maximum(columns.allocatable(resource)[fits], 1)
            wanted = columns.requested(resource)[fits] + pod.requests.get(resource, 0)
            fractions.append(np.minimum(wanted / capacity, 1.0))
        deviation = np.abs(fractions[0] - fractions[1]) / 2
        balanced: Scores = np.floor((1 - deviation) * MAX_SCORE)
        return balanced
