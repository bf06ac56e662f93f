"""What one probe found, and the tally that turns findings into a result. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from podkeeper.api.core import v1


class Verdict(Enum):
    """UNKNOWN: the probe itself could not be carried out; it counts as nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True):
    """One finding with the text that the event shows."""

    verdict: Verdict
    output: str = ""


class Timing(Struct, frozen=True):
    """A probe's numbers with their defaults filled in."""

    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: v1.Probe) -> Timing:
        """As the API defaults them: 0 s, 10 s, 1 s, 1 and 3."""
        return cls(
            probe.initial_delay_seconds or 0,
            probe.period_seconds or 10,
            probe.timeout_seconds or 1,
            probe.success_threshold or 1,
            probe.failure_threshold or 3,
        )


class Tally:
    """Counts equal findings in a row against the thresholds."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._last: Verdict | None = None
        self._run = 0

    def count(self, verdict: Verdict) -> Verdict | None:
        """The result that ``verdict`` completes, or None while the row is too short."""
        if verdict is Verdict.UNKNOWN:
            return None
        self._run = self._run + 1 if verdict is self._last else 1
        self._last = verdict
        success = verdict is Verdict.SUCCESS
        needed = self._timing.success_threshold if success else self._timing.failure_threshold
        return verdict if self._run >= needed else None
