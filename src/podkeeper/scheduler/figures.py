"""What /metrics tells of scheduling, with upstream's names, labels and buckets (kubernetes/pkg/scheduler/metrics)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from podkeeper.foundation.exposition import Counters, Family, Histogram, Histograms, single
from podkeeper.scheduler.queue import SchedulingQueue

#: Seconds: of attempts, of extension points, and until a pod is placed.
_ATTEMPTS = tuple(0.001 * 2**power for power in range(15))
_POINTS = tuple(0.0001 * 2**power for power in range(12))
_PLACED = tuple(round(0.01 * 2**power, 2) for power in range(20))
#: More attempts than these are told as one kind.
_MOST_TOLD = 15
#: Results of attempts.
SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
#: Whoever tells how long an extension point took: its name, seconds, and whether it let the pod pass.
Note = Callable[[str, float, bool], None]


class SchedulerFigures:
    """Counts for one profile, and shows what its queue counts."""

    def __init__(self, profile: str, queue: SchedulingQueue) -> None:
        self._profile, self._queue = profile, queue
        self._attempts = Counters("scheduler_schedule_attempts_total", "Attempts.", "profile", "result")
        self._durations = Histograms(
            "scheduler_scheduling_attempt_duration_seconds", "Seconds of attempts.", _ATTEMPTS, "profile", "result"
        )
        self._points = Histograms(
            "scheduler_framework_extension_point_duration_seconds",
            "Seconds of all plugins of an extension point.",
            _POINTS,
            "extension_point",
            "profile",
            "status",
        )
        self._placed = Histograms(
            "scheduler_pod_scheduling_sli_duration_seconds", "Seconds until pods are placed.", _PLACED, "attempts"
        )
        self._algorithm, self._tries = Histogram(_ATTEMPTS), Histogram((1.0, 2.0, 4.0, 8.0, 16.0))

    def note_point(self, point: str, seconds: float, passed: bool) -> None:
        """One extension point in one attempt."""
        self._points.of(point, self._profile, "Success" if passed else "Unschedulable").observe(seconds)

    def note_decision(self, started: float) -> None:
        """A decision has been made; ``started`` and all times here are of ``time.perf_counter``."""
        self._algorithm.observe(perf_counter() - started)

    def note_attempt(self, result: str, started: float) -> None:
        """An attempt has ended, a binding included."""
        self._attempts[self._profile, result] += 1
        self._durations.of(self._profile, result).observe(perf_counter() - started)

    def note_placed(self, attempts: int, seconds: float) -> None:
        """A pod is bound, so long after it came."""
        self._tries.observe(attempts)
        self._placed.of(str(attempts) if attempts <= _MOST_TOLD else f"{_MOST_TOLD}+").observe(seconds)

    def families(self) -> Sequence[Family]:
        """scheduler_*."""

        def plain(name: str, text: str, histogram: Histogram) -> Family:
            return Family(f"scheduler_{name}", "histogram", text, lambda: [({}, histogram)])

        counted = (self._attempts, self._durations, self._points, self._placed)
        return (
            *(each.family() for each in counted),
            Family(
                "scheduler_pending_pods",
                "gauge",
                "Pods that wait.",
                lambda: [({"queue": queue}, count) for queue, count in self._queue.pending().items()],
            ),
            Family(
                "scheduler_queue_incoming_pods_total",
                "counter",
                "Pods that came into a queue, and why.",
                lambda: [({"event": event, "queue": to}, count) for (event, to), count in self._queue.incoming.items()],
            ),
            plain("pod_scheduling_attempts", "Attempts until pods are placed.", self._tries),
            plain("scheduling_algorithm_duration_seconds", "Seconds of decisions.", self._algorithm),
            plain(
                "preemption_victims",
                "Pods that had to go for another.",
                Histogram((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)),
            ),
            single("scheduler_preemption_attempts_total", "counter", "Attempts to preempt.", lambda: 0),
        )
