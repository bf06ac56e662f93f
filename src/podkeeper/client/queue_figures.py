"""What /metrics tells of work queues, with upstream's names (client-go's workqueue metrics)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family, Histogram, Labels, Sample

#: Upstream's buckets in seconds: ten nanoseconds to a thousand seconds.
_BOUNDS = tuple(10.0**power for power in range(-8, 4))


class QueueTally:
    """What has happened in one queue; the queue says so."""

    __slots__ = ("_clock", "adds", "queued", "retries", "running", "waits", "works")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.adds = self.retries = 0
        self.queued: dict[Hashable, float] = {}
        self.running: dict[Hashable, float] = {}
        self.waits, self.works = Histogram(_BOUNDS), Histogram(_BOUNDS)

    def added(self, key: Hashable) -> None:
        """A key that was not there is to be worked on."""
        self.adds += 1
        self.queued.setdefault(key, self._clock.monotonic())

    def taken(self, key: Hashable) -> None:
        """A worker has it."""
        now = self._clock.monotonic()
        self.running[key] = now
        self.waits.observe(now - self.queued.pop(key, now))

    def done(self, key: Hashable) -> None:
        """The worker is through with it."""
        now = self._clock.monotonic()
        self.works.observe(now - self.running.pop(key, now))

    def unfinished(self) -> Sequence[float]:
        """For how many seconds each key has been worked on that is now."""
        now = self._clock.monotonic()
        return [now - since for since in self.running.values()]


class QueueFigures:
    """The queues of one process, by upstream's names."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tallies: dict[str, QueueTally] = {}

    def of(self, name: str) -> QueueTally:
        """Where the queue of that name is counted."""
        return self._tallies.setdefault(name, QueueTally(self._clock))

    def families(self) -> Sequence[Family]:
        """workqueue_*."""

        def family(name: str, kind: str, text: str, value: Callable[[QueueTally], float]) -> Family:
            def read() -> Iterator[Sample]:
                for queue, tally in self._tallies.items():
                    yield {"name": queue}, value(tally)

            return Family(f"workqueue_{name}", kind, text, read)

        def histograms(name: str, text: str, value: Callable[[QueueTally], Histogram]) -> Family:
            def read() -> Iterator[tuple[Labels, Histogram]]:
                for queue, tally in self._tallies.items():
                    yield {"name": queue}, value(tally)

            return Family(f"workqueue_{name}", "histogram", text, read)

        def longest(tally: QueueTally) -> float:
            return max(tally.unfinished(), default=0.0)

        return (
            family("adds_total", "counter", "Keys added.", lambda tally: tally.adds),
            family("depth", "gauge", "Keys that wait.", lambda tally: len(tally.queued)),
            family("longest_running_processor_seconds", "gauge", "The longest work under way.", longest),
            family("retries_total", "counter", "Keys that come again.", lambda tally: tally.retries),
            family("unfinished_work_seconds", "gauge", "All work under way.", lambda tally: sum(tally.unfinished())),
            histograms("queue_duration_seconds", "Seconds that keys wait.", lambda tally: tally.waits),
            histograms("work_duration_seconds", "Seconds that keys take.", lambda tally: tally.works),
        )
