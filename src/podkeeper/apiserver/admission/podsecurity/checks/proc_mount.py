"""procMount and procMount_restricted: /proc is masked as usual."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Tree, Violation, containers_text, quoted


def proc_mount(pod: PodView) -> Violation | None:
    """Baseline since 1.0, restricted since 1.35."""
    kinds: set[str] = set()

    def is_bad(security: Tree) -> bool:
        kind = security.get("procMount")
        if kind is None or kind == "Default":
            return False
        kinds.add(kind)
        return True

    bad = pod.named(is_bad)
    if not bad:
        return None
    return Violation(
        "procMount", f"{containers_text(bad)} must not set securityContext.procMount to {quoted(sorted(kinds))}"
    )


def proc_mount_unless_user_namespace(pod: PodView) -> Violation | None:
    """Baseline since 1.35."""
    return None if pod.has_user_namespace else proc_mount(pod)
