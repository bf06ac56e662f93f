"""allowPrivilegeEscalation: a process gets no more privileges than its parent."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Violation, containers_text


def privilege_escalation(pod: PodView) -> Violation | None:
    """Restricted since 1.8."""
    bad = pod.named(lambda security: security.get("allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    detail = f"{containers_text(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def privilege_escalation_unless_windows(pod: PodView) -> Violation | None:
    """Restricted since 1.25."""
    return None if pod.is_windows else privilege_escalation(pod)
