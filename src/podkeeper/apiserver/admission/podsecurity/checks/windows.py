"""windowsHostProcess: no processes of a Windows host."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Tree, Violation, setters


def windows_host_process(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""

    def is_bad(security: Tree) -> bool:
        return (security.get("windowsOptions") or {}).get("hostProcess") is True

    on_pod, bad = is_bad(pod.security), pod.named(is_bad)
    if not on_pod and not bad:
        return None
    return Violation(
        "hostProcess", f"{setters(on_pod, bad)} must not set securityContext.windowsOptions.hostProcess=true"
    )
