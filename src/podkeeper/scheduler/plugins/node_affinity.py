"""NodeAffinity: node selector and required node affinity filter, preferred terms score."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from podkeeper.api.core import v1
from podkeeper.api.pods.affinity import NodeFacts, preference, requires
from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import Codes, Scores, scaled
from podkeeper.scheduler.pod_facts import PodFacts


class NodeAffinity:
    """Code 1: the node's labels do not match. Answers are kept by what is asked for, for all pods that ask the same."""

    name = "NodeAffinity"
    weight = 2.0

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """See Filter."""
        spec = pod.spec
        affinity = _node_affinity(spec)
        required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
        if not spec.node_selector and required is None:
            return None

        def judge(node: NodeFacts) -> int:
            return not requires(spec, node)

        key = ("requires", msgspec.json.encode((spec.node_selector, required)))
        return columns.select(key, judge).astype(np.uint32)

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """See Filter."""
        return ("node(s) didn't match Pod's node affinity/selector",)

    def curable(self, code: int) -> bool:
        """Removing pods does not label a node."""
        return False

    def score(self, pod: PodFacts, columns: Columns, fits: NDArray[np.intp]) -> Scores | None:
        """The weights of the preferred terms that a node meets."""
        spec, affinity = pod.spec, _node_affinity(pod.spec)
        preferred = affinity.preferred_during_scheduling_ignored_during_execution if affinity else ()
        if not preferred:
            return None
        weights = columns.select(("prefers", msgspec.json.encode(preferred)), lambda node: preference(spec, node))
        return scaled(weights[fits].astype(np.float64))


def _node_affinity(spec: v1.PodSpec) -> v1.NodeAffinity | None:
    return spec.affinity.node_affinity if spec.affinity else None
