"""What /metrics/probes tells: how often containers were probed, and with which result."""

from __future__ import annotations

from collections.abc import Sequence

from podkeeper.api.core import v1
from podkeeper.foundation.exposition import Counters, Family
from podkeeper.kubelet.probes.outcome import Verdict

_RESULTS = {Verdict.SUCCESS: "successful", Verdict.FAILURE: "failed", Verdict.UNKNOWN: "unknown"}
_TYPES = {"startup": "Startup", "readiness": "Readiness", "liveness": "Liveness"}


class ProbeFigures:
    """Counts the probes of a node's pods."""

    def __init__(self) -> None:
        labels = ("container", "namespace", "pod", "pod_uid", "probe_type", "result")
        self._counts = Counters("prober_probe_total", "Probes by their results.", *labels)

    def note(self, pod: v1.Pod, container: str, kind: str, verdict: Verdict) -> None:
        """One probe."""
        metadata = pod.metadata
        whose = (container, metadata.namespace, metadata.name, metadata.uid)
        self._counts[*whose, _TYPES[kind], _RESULTS[verdict]] += 1

    def forget(self, uid: str) -> None:
        """The pod is no more."""
        self._counts.drop(lambda values: values[3] == uid)

    def families(self) -> Sequence[Family]:
        """prober_*."""
        return (self._counts.family(),)
