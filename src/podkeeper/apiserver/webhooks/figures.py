"""What /metrics tells of single webhooks, with upstream's names (apiserver/pkg/admission/metrics)."""

from __future__ import annotations

from collections.abc import Sequence

from podkeeper.foundation.exposition import Counters, Family, Histograms

_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
_PREFIX = "apiserver_admission_webhook"
#: Codes beyond it are shown as it: a webhook does not choose how many series there are.
_MOST = 600


class WebhookFigures:
    """Counts calls. ``step`` is admit or validate."""

    def __init__(self) -> None:
        what = ("name", "operation")
        self._durations = Histograms(
            f"{_PREFIX}_admission_duration_seconds", "Seconds of a call.", _BOUNDS, *what, "rejected", "type"
        )
        self._requests = Counters(f"{_PREFIX}_request_total", "Calls.", "code", *what, "rejected", "type")
        self._rejections = Counters(
            f"{_PREFIX}_rejection_count", "Writes refused.", "error_type", *what, "rejection_code", "type"
        )
        self._open = Counters(f"{_PREFIX}_fail_open_count", "Failures that were ignored.", "name", "type")

    def called(self, name: str, operation: str, step: str, code: int, seconds: float, *, rejected: bool) -> None:
        """Notes a call that has ended. ``code`` is 200, or that of the refusal or failure."""
        refused = str(rejected).lower()
        self._durations.of(name, operation, refused, step).observe(seconds)
        self._requests[str(min(code, _MOST)), name, operation, refused, step] += 1

    def rejected(self, name: str, operation: str, step: str, error: str, code: int) -> None:
        """Notes that a write is refused. ``error`` is calling_webhook_error, apiserver_internal_error or no_error."""
        self._rejections[error, name, operation, str(min(code, _MOST)), step] += 1

    def ignored(self, name: str, step: str) -> None:
        """Notes a failure that its policy lets pass."""
        self._open[name, step] += 1

    def families(self) -> Sequence[Family]:
        """apiserver_admission_webhook_*."""
        return (self._durations.family(), self._requests.family(), self._rejections.family(), self._open.family())
