"""NodeResourcesFit: what pods ask for must be free; emptier nodes are better (LeastAllocated)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from podkeeper.scheduler.columns import PODS, Columns
from podkeeper.scheduler.framework import MAX_SCORE, Codes, Scores
from podkeeper.scheduler.pod_facts import PodFacts

_UNHELPFUL = 1 << 31


class NodeResourcesFit:
    """A code is a set of bits: bit 0 for too many pods, bit n for the nth wanted resource by name, and the highest
    when the node could not hold the pod even if it were empty."""

    name = "NodeResourcesFit"
    weight = 1.0

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """See Filter."""
        full = columns.requested(PODS) + 1 > columns.allocatable(PODS)
        codes = full.astype(np.uint32)
        never = columns.allocatable(PODS) < 1
        for bit, resource in enumerate(_wanted(pod), start=1):
            amount, allocatable = pod.requests[resource], columns.allocatable(resource)
            short = columns.requested(resource) + amount > allocatable
            codes |= short.astype(np.uint32) << np.uint32(bit)
            never |= allocatable < amount
        codes |= (never & (codes != 0)).astype(np.uint32) * np.uint32(_UNHELPFUL)
        return codes

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """See Filter."""
        reasons = ["Too many pods"] if code & 1 else []
        reasons += [f"Insufficient {name}" for bit, name in enumerate(_wanted(pod), start=1) if code >> bit & 1]
        return tuple(reasons)

    def curable(self, code: int) -> bool:
        """Removing pods helps unless the node is too small when empty."""
        return not code & _UNHELPFUL

    def score(self, pod: PodFacts, columns: Columns, fits: NDArray[np.intp]) -> Scores | None:
        """The mean over CPU and memory of what would remain free, in parts of what there is."""
        total = np.zeros(len(fits))
        for resource, used, own in zip(("cpu", "memory"), columns.nonzero, pod.nonzero, strict=True):
            capacity = columns.allocatable(resource)[fits]
            free = np.maximum(capacity - used[fits] - own, 0)
            total += np.floor(free * MAX_SCORE / np.maximum(capacity, 1))
        return np.floor(total / 2)


def _wanted(pod: PodFacts) -> list[str]:
    return sorted(pod.requests)[:30]
