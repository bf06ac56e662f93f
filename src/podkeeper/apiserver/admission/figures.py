"""What /metrics tells of admission: how long each plugin takes, with upstream's name and buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from podkeeper.apiserver.exposition import Family, Histogram, Labels

_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_NAME = "apiserver_admission_controller_admission_duration_seconds"


class AdmissionFigures:
    """Durations by plugin, operation, step (admit or validate) and whether the write was refused."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str, str, bool], Histogram] = {}

    def observe(self, plugin: str, operation: str, step: str, rejected: bool, seconds: float) -> None:
        """Notes one judgement."""
        key = (plugin, operation, step, rejected)
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._durations[key] = Histogram(_BOUNDS)
        histogram.observe(seconds)

    def families(self) -> Sequence[Family]:
        """The one family."""
        return (Family(_NAME, "histogram", "Seconds that a plugin took for a write.", self._read),)

    def _read(self) -> Iterator[tuple[Labels, Histogram]]:
        for (plugin, operation, step, rejected), histogram in self._durations.items():
            labels = {"name": plugin, "operation": operation, "rejected": str(rejected).lower(), "type": step}
            yield labels, histogram
