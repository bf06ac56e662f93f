"""hostPorts: no ports of the host."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Violation, containers_text, plural


def host_ports(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""
    bad: list[str] = []
    ports: set[str] = set()
    for name, _, container in pod.containers():
        found = {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}
        if found:
            bad.append(name)
            ports |= found
    if not bad:
        return None
    uses, what = plural("uses", "use", len(bad)), plural("hostPort", "hostPorts", len(ports))
    return Violation("hostPort", f"{containers_text(bad)} {uses} {what} {', '.join(sorted(ports))}")
