"""privileged: no container without bounds."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Violation, containers_text


def privileged(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""
    bad = pod.named(lambda security: security.get("privileged") is True)
    return (
        Violation("privileged", f"{containers_text(bad)} must not set securityContext.privileged=true") if bad else None
    )
