"""TaintToleration: nodes repel pods that do not tolerate their taints; PreferNoSchedule taints cost score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from podkeeper.api.core import v1
from podkeeper.api.pods.tolerations import tolerates, untolerated
from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import Codes, Scores, scaled
from podkeeper.scheduler.pod_facts import PodFacts

PREFER_NO_SCHEDULE = "PreferNoSchedule"


class TaintToleration:
    """Code 1: a taint is not tolerated. Nodes share few sets of taints, so each set is judged once."""

    name = "TaintToleration"
    weight = 3.0

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """See Filter."""
        sets = columns.taint_sets
        if not sets.any():
            return None
        refused = [untolerated(taints, pod.spec.tolerations) is not None for taints in columns.taints]
        return np.array(refused, np.uint32)[sets]

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """See Filter."""
        return ("node(s) had untolerated taint(s)",)

    def curable(self, code: int) -> bool:
        """Removing pods does not untaint a node."""
        return False

    def score(self, pod: PodFacts, columns: Columns, fits: NDArray[np.intp]) -> Scores | None:
        """Fewer PreferNoSchedule taints that the pod does not tolerate are better."""
        sets = columns.taint_sets[fits]
        if not sets.any():
            return None
        tolerations = [each for each in pod.spec.tolerations if each.effect in ("", PREFER_NO_SCHEDULE)]
        counts = [_intolerable(taints, tolerations) for taints in columns.taints]
        return scaled(np.array(counts, np.float64)[sets], reverse=True)


def _intolerable(taints: tuple[v1.Taint, ...], tolerations: list[v1.Toleration]) -> int:
    soft = [taint for taint in taints if taint.effect == PREFER_NO_SCHEDULE]
    return sum(not any(tolerates(each, taint) for each in tolerations) for taint in soft)
