"""What a scheduling plugin is: a filter gives every node a reason code, a score gives every node a number."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.pod_facts import PodFacts

Codes = NDArray[np.uint32]
Scores = NDArray[np.float64]

#: What a score lies between, before its weight.
MAX_SCORE = 100.0


class Filter(Protocol):
    """Decides where a pod can run. Code 0 means that it fits; what other codes mean is the plugin's own affair."""

    @property
    def name(self) -> str:
        """Upstream's name of the plugin."""
        ...

    def filter(self, pod: PodFacts, columns: Columns) -> Codes | None:
        """A code per row; None when the pod asks nothing of this plugin, which is the same as all zeros."""
        ...

    def explain(self, code: int, pod: PodFacts, columns: Columns) -> tuple[str, ...]:
        """Upstream's words for a code, one for each thing that is wrong."""
        ...

    def curable(self, code: int) -> bool:
        """Whether the removal of other pods could make the node fit."""
        ...


class Score(Protocol):
    """Ranks nodes that fit."""

    @property
    def name(self) -> str:
        """Upstream's name of the plugin."""
        ...

    @property
    def weight(self) -> float:
        """Upstream's default weight."""
        ...

    def score(self, pod: PodFacts, columns: Columns, fits: NDArray[np.intp]) -> Scores | None:
        """A number from 0 to MAX_SCORE for each of the rows ``fits``; None when the plugin has no preference."""
        ...


def scaled(raw: Scores, *, reverse: bool = False) -> Scores:
    """Stretches ``raw`` so that the greatest is MAX_SCORE; ``reverse`` makes the least the best."""
    top = float(raw.max()) if raw.size else 0.0
    if top == 0.0:
        return np.full(raw.shape, MAX_SCORE if reverse else 0.0)
    ranked = np.floor(raw * MAX_SCORE / top)
    return MAX_SCORE - ranked if reverse else ranked
