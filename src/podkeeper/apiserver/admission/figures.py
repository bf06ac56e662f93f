"""What /metrics tells of admission: how long plugins and whole passes take, with upstream's names and buckets."""

from __future__ import annotations

from collections.abc import Sequence

from podkeeper.apiserver.webhooks.figures import WebhookFigures
from podkeeper.foundation.exposition import Counters, Family, Histograms

_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_CHECK_BOUNDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
_CHECK_LABELS = ("enforcement_action", "error_type", "policy", "policy_binding")


class AdmissionFigures:
    """Durations by plugin, operation, step (admit or validate) and whether the write was refused; checks of
    policies; calls of webhooks."""

    def __init__(self) -> None:
        prefix, labels = "apiserver_admission", ("operation", "rejected", "type")
        self.plugins = Histograms(
            f"{prefix}_controller_admission_duration_seconds", "Seconds of a plugin.", _BOUNDS, "name", *labels
        )
        self.steps = Histograms(f"{prefix}_step_admission_duration_seconds", "Seconds of all.", _BOUNDS, *labels)
        self.webhooks = WebhookFigures()
        policy = "apiserver_validating_admission_policy"
        self._checks = Counters(f"{policy}_check_total", "Checks of policies.", *_CHECK_LABELS)
        self._times = Histograms(
            f"{policy}_check_duration_seconds", "Seconds of a check.", _CHECK_BOUNDS, *_CHECK_LABELS
        )

    def checked(self, policy: str, binding: str, action: str, error: str, seconds: float) -> None:
        """Notes one check of a policy. ``action`` is allow, deny, warn or audit, ``error`` no_error or what went
        wrong."""
        self._checks[action, error, policy, binding] += 1
        self._times.of(action, error, policy, binding).observe(seconds)

    def families(self) -> Sequence[Family]:
        """apiserver_admission_* and apiserver_validating_admission_policy_*."""
        own = (self.plugins, self.steps, self._checks, self._times)
        return (*(each.family() for each in own), *self.webhooks.families())
