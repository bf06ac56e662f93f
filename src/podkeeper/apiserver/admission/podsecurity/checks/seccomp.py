"""seccompProfile_baseline and seccompProfile_restricted: no container without a filter of system calls."""

from __future__ import annotations

import json

from podkeeper.apiserver.admission.podsecurity.pod import (
    PodView,
    Violation,
    containers_text,
    forbidden_profiles,
    plural,
    quoted,
    setters,
)

_ON_POD = "seccomp.security.alpha.kubernetes.io/pod"
_ON_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def seccomp_annotations(pod: PodView) -> Violation | None:
    """Baseline since 1.0, when profiles were annotations."""
    keys = {_ON_POD, *(_ON_CONTAINER + name for name, _, _ in pod.containers())}
    bad = sorted(
        f"{key}={json.dumps(value)}"
        for key, value in pod.annotations.items()
        if key in keys and value not in ("runtime/default", "docker/default") and not value.startswith("localhost/")
    )
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {plural('annotation', 'annotations', len(bad))} {', '.join(bad)}")


def seccomp_profile(pod: PodView) -> Violation | None:
    """Baseline since 1.19."""
    on_pod, bad, kinds = forbidden_profiles(pod, "seccompProfile")
    if not on_pod and not bad:
        return None
    detail = f"{setters(on_pod, bad)} must not set securityContext.seccompProfile.type to {quoted(kinds)}"
    return Violation("seccompProfile", detail)


def required_seccomp_profile(pod: PodView) -> Violation | None:
    """Restricted since 1.19; says what the baseline says, and more."""
    explicit = seccomp_profile(pod)
    if explicit is not None or pod.security.get("seccompProfile") is not None:
        return explicit
    bad = pod.named(lambda security: security.get("seccompProfile") is None)
    if not bad:
        return None
    must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {containers_text(bad)} {must}")


def required_seccomp_profile_unless_windows(pod: PodView) -> Violation | None:
    """Restricted since 1.25."""
    return None if pod.is_windows else required_seccomp_profile(pod)
