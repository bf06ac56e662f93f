"""hostNamespaces: no network, PIDs or IPC of the host."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Violation


def host_namespaces(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""
    shared = [f"{field}=true" for field in ("hostIPC", "hostNetwork", "hostPID") if pod.spec.get(field)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None
