"""One scheduling decision: filters in upstream's order, scores, the best node; pure, on arrays.

all rows --filter--> rows that fit --score * weight--> the best, chosen at random among equals
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from time import perf_counter

import numpy as np
from msgspec import Struct, field

from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.figures import Note
from podkeeper.scheduler.framework import Filter, Score
from podkeeper.scheduler.pod_facts import PodFacts

NO_NODES = "no nodes available to schedule pods"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


class Unschedulable(Struct, frozen=True):
    """No node fits. ``reasons`` counts upstream's words, ``incurable`` the nodes that no preemption could free."""

    nodes: int
    reasons: Counter[str]
    incurable: int
    plugins: frozenset[str] = field(default_factory=frozenset)

    @property
    def message(self) -> str:
        """The text of the event and of the pod's condition."""
        if not self.nodes:
            return NO_NODES
        curable = self.nodes - self.incurable
        victims = Counter({NO_VICTIMS: curable, NOT_HELPFUL: self.incurable})
        head = f"0/{self.nodes} nodes are available"
        return (
            f"{head}: {_counted(self.reasons)}. no new claims to deallocate, preemption: {head}: {_counted(victims)}."
        )


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items() if count))


class Cycle:
    """The plugins in use and the dice. ``note`` is told how long filters and scores take."""

    def __init__(
        self, filters: Sequence[Filter], scores: Sequence[Score], dice: Random, note: Note | None = None
    ) -> None:
        self._filters, self._scores, self._dice = filters, scores, dice
        self._note = note or _keep_quiet

    def decide(self, pod: PodFacts, columns: Columns) -> str | Unschedulable:
        """The name of the node the pod should run on, or why there is none."""
        started = perf_counter()
        remaining = columns.present.copy()
        objections: list[tuple[Filter, Counter[int]]] = []
        for plugin in self._filters:
            codes = plugin.filter(pod, columns)
            if codes is None:
                continue
            refused = remaining & (codes != 0)
            if refused.any():
                values, counts = np.unique(codes[refused], return_counts=True)
                objections.append((plugin, Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))))
                remaining &= ~refused
        fits = np.flatnonzero(remaining)
        filtered = perf_counter()
        self._note("Filter", filtered - started, bool(fits.size))
        if fits.size:
            best = self._best(pod, columns, fits)
            self._note("Score", perf_counter() - filtered, True)
            return columns.name(best)
        return _explain(pod, columns, objections)

    def _best(self, pod: PodFacts, columns: Columns, fits: np.ndarray[tuple[int], np.dtype[np.intp]]) -> int:
        if fits.size == 1:
            return int(fits[0])
        total = np.zeros(fits.size)
        for plugin in self._scores:
            scores = plugin.score(pod, columns, fits)
            if scores is not None:
                total += scores * plugin.weight
        best = fits[total == total.max()]
        return int(best[self._dice.randrange(best.size)])


def _keep_quiet(point: str, seconds: float, passed: bool) -> None:
    """Tells nobody."""


def _explain(pod: PodFacts, columns: Columns, objections: list[tuple[Filter, Counter[int]]]) -> Unschedulable:
    reasons: Counter[str] = Counter()
    incurable = 0
    for plugin, counts in objections:
        for code, count in counts.items():
            for reason in plugin.explain(code, pod, columns):
                reasons[reason] += count
            incurable += 0 if plugin.curable(code) else count
    plugins = frozenset(plugin.name for plugin, _ in objections)
    return Unschedulable(len(columns), reasons, incurable, plugins)
