"""What /metrics tells of webhooks that judge requests, with upstream's names."""

from __future__ import annotations

from collections.abc import Sequence

from podkeeper.foundation.exposition import Counters, Family, Histograms

_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0)
_WEBHOOK, _CONDITIONS = "apiserver_authorization_webhook", "apiserver_authorization_match_condition"


class WebhookFigures:
    """Counts for all webhooks of a server, by name."""

    def __init__(self) -> None:
        labels = ("name", "result")
        self._asked = Counters(f"{_WEBHOOK}_evaluations_total", "Questions.", *labels)
        self._open = Counters(f"{_WEBHOOK}_evaluations_fail_open_total", "Failures without opinion.", *labels)
        self._times = Histograms(f"{_WEBHOOK}_duration_seconds", "Seconds of a question.", _BOUNDS, *labels)
        self._excluded = Counters(f"{_CONDITIONS}_exclusions_total", "Requests of no interest.", "name", "type")
        self._failed = Counters(f"{_CONDITIONS}_evaluation_errors_total", "Conditions that failed.", "name", "type")

    def asked(self, name: str, result: str, seconds: float) -> None:
        """One question. ``result`` is success, timeout or error."""
        self._asked[name, result] += 1
        self._times.of(name, result).observe(seconds)

    def ignored(self, name: str, late: bool) -> None:
        """A failure that its policy makes no opinion."""
        self._open[name, "timeout" if late else "error"] += 1

    def excluded(self, name: str) -> None:
        """The conditions kept a request away."""
        self._excluded[name, "Webhook"] += 1

    def failed(self, name: str) -> None:
        """A condition has no value."""
        self._failed[name, "Webhook"] += 1

    def families(self) -> Sequence[Family]:
        """apiserver_authorization_webhook_* and apiserver_authorization_match_condition_*."""
        every = (self._asked, self._open, self._times, self._excluded, self._failed)
        return tuple(each.family() for each in every)
