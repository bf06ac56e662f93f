"""hostProbesAndHostLifecycle: probes and hooks reach the pod itself, no other host."""

from __future__ import annotations

from collections.abc import Iterator

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Tree, Violation, containers_text, plural, quoted

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


def host_probes(pod: PodView) -> Violation | None:
    """Baseline since 1.34."""
    bad: set[str] = set()
    hosts: set[str] = set()
    for name, _, container in pod.containers():
        found = {host for handler in _handlers(container) for host in _hosts(handler)}
        if found:
            bad.add(name)
            hosts |= found
    if not bad:
        return None
    uses = plural("uses", "use", len(bad))
    what = plural("probe or lifecycle host", "probe or lifecycle hosts", len(hosts))
    detail = f"{containers_text(sorted(bad))} {uses} {what} {quoted(sorted(hosts))}"
    return Violation("probe or lifecycle host", detail)


def _handlers(container: Tree) -> Iterator[Tree]:
    lifecycle = container.get("lifecycle") or {}
    for given in (*(container.get(name) for name in _PROBES), *(lifecycle.get(name) for name in _HOOKS)):
        if given:
            yield given


def _hosts(handler: Tree) -> Iterator[str]:
    for action in ("httpGet", "tcpSocket"):
        host = (handler.get(action) or {}).get("host")
        if host:
            yield host
