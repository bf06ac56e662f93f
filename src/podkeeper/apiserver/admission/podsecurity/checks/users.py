"""runAsNonRoot and runAsUser: nobody is root, and the pod says so."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Tree, Violation, containers_text, setters


def non_root(pod: PodView) -> Violation | None:
    """Restricted since 1.0."""

    def is_explicit(security: Tree) -> bool:
        return security.get("runAsNonRoot") is False

    on_pod, bad = is_explicit(pod.security), pod.named(is_explicit)
    if on_pod or bad:
        must = "must not set securityContext.runAsNonRoot=false"
        return Violation("runAsNonRoot != true", f"{setters(on_pod, bad)} {must}")
    if pod.security.get("runAsNonRoot"):
        return None
    bad = pod.named(lambda security: security.get("runAsNonRoot") is None)
    if not bad:
        return None
    must = "must set securityContext.runAsNonRoot=true"
    return Violation("runAsNonRoot != true", f"pod or {containers_text(bad)} {must}")


def non_root_unless_user_namespace(pod: PodView) -> Violation | None:
    """Restricted since 1.35."""
    return None if pod.has_user_namespace else non_root(pod)


def no_root_user(pod: PodView) -> Violation | None:
    """Restricted since 1.23."""

    def is_root(security: Tree) -> bool:
        user = security.get("runAsUser")
        return user is not None and user == 0

    on_pod, bad = is_root(pod.security), pod.named(is_root)
    if not on_pod and not bad:
        return None
    return Violation("runAsUser=0", f"{setters(on_pod, bad)} must not set runAsUser=0")


def no_root_user_unless_user_namespace(pod: PodView) -> Violation | None:
    """Restricted since 1.35."""
    return None if pod.has_user_namespace else no_root_user(pod)
