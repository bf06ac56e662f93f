"""capabilities_baseline and capabilities_restricted: which capabilities may be added, and that all are dropped."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Violation, containers_text, quoted

_DEFAULT = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_HARMLESS = frozenset({"NET_BIND_SERVICE"})


def default_capabilities(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""
    added = _added(pod, _DEFAULT)
    return Violation("non-default capabilities", added) if added else None


def dropped_capabilities(pod: PodView) -> Violation | None:
    """Restricted since 1.22."""
    keeping = [
        name
        for name, security, _ in pod.containers()
        if "ALL" not in ((security.get("capabilities") or {}).get("drop") or ())
    ]
    details = [f'{containers_text(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    added = _added(pod, _HARMLESS)
    details += [added] if added else []
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def dropped_capabilities_unless_windows(pod: PodView) -> Violation | None:
    """Restricted since 1.25."""
    return None if pod.is_windows else dropped_capabilities(pod)


def _added(pod: PodView, allowed: frozenset[str]) -> str:
    """What is said about capabilities beyond those that may be added; empty if there are none."""
    bad: list[str] = []
    found: set[str] = set()
    for name, security, _ in pod.containers():
        beyond = set((security.get("capabilities") or {}).get("add") or ()) - allowed
        if beyond:
            bad.append(name)
            found |= beyond
    if not bad:
        return ""
    return f"{containers_text(bad)} must not include {quoted(sorted(found))} in securityContext.capabilities.add"
