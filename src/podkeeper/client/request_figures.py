"""What /metrics tells of a component's own requests, with upstream's names (rest_client_*)."""

from __future__ import annotations

from collections.abc import Sequence

from podkeeper.foundation.exposition import Counters, Family, Histograms

#: Upstream's buckets in seconds.
_BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
#: The code of requests that got no answer.
NO_ANSWER = "<error>"


class RequestFigures:
    """Counts the requests to one host."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._totals = Counters("rest_client_requests_total", "Requests.", "code", "host", "method")
        self._times = Histograms(
            "rest_client_request_duration_seconds", "Seconds until the answer.", _BOUNDS, "host", "verb"
        )

    def note(self, method: str, code: int, seconds: float) -> None:
        """One request; ``code`` 0 is for one that got no answer."""
        self._totals[str(code) if code else NO_ANSWER, self._host, method] += 1
        self._times.of(self._host, method).observe(seconds)

    def families(self) -> Sequence[Family]:
        """rest_client_*."""
        return (self._totals.family(), self._times.family())
