"""How pods are printed: what STATUS, READY and RESTARTS say of a pod's containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from podkeeper.apiserver.tables.column import (
    Columns,
    Tree,
    age,
    being_deleted,
    container_cells,
    has_condition,
    labels_text,
    name_of,
    printed,
    seconds_of,
    since,
    spec_of,
    status_of,
)

_COMPLETED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


class Restarts(Struct):
    """How often containers were restarted, and when the last of them ended."""

    count: int = 0
    last: str = ""

    def add(self, status: Tree) -> None:
        """Counts one container."""
        self.count += int(status.get("restartCount") or 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        if (seconds_of(ended) or 0) > (seconds_of(self.last) or 0):
            self.last = ended

    def text(self, now: float) -> str:
        """``3 (2m ago)``."""
        return f"{self.count} ({since(self.last, now)} ago)" if self.count and self.last else str(self.count)


class Summary(Struct):
    """What a row says of the containers together."""

    reason: str
    ready: int = 0
    total: int = 0
    restarts: Restarts = field(default_factory=Restarts)


def summarize(pod: Tree) -> Summary:
    """The rules of upstream's printer, in its order: phase, gates, init containers, containers, deletion."""
    spec, status = spec_of(pod), status_of(pod)
    phase = status.get("phase") or ""
    summary = Summary(status.get("reason") or phase, total=len(spec.get("containers") or ()))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            summary.reason = "SchedulingGated"
    initializing, sidecars = _look_at_init_containers(spec, status, summary)
    if not initializing or has_condition(status, "Initialized"):
        summary.restarts = sidecars
        _look_at_containers(status, summary)
    if being_deleted(pod):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            summary.reason = "Terminating"
    return summary


def _look_at_init_containers(spec: Tree, status: Tree, summary: Summary) -> tuple[bool, Restarts]:
    """Whether initialization is under way (or has failed), and the restarts of the sidecars."""
    containers = spec.get("initContainers") or ()
    restartable = {each["name"] for each in containers if each.get("restartPolicy") == "Always"}
    summary.total += len(restartable)
    summary.restarts, sidecars = Restarts(), Restarts()
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = container.get("name") in restartable
        summary.restarts.add(container)
        if sidecar:
            sidecars.add(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            summary.reason = f"Init:{_end_of(terminated)}"
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            summary.reason = f"Init:{waiting['reason']}"
        else:
            summary.reason = f"Init:{index}/{len(containers)}"
        return True, sidecars
    return False, sidecars


def _look_at_containers(status: Tree, summary: Summary) -> None:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        summary.restarts.add(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            summary.reason = waiting["reason"]
        elif terminated is not None:
            summary.reason = _end_of(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        summary.reason = "Running" if has_condition(status, "Ready") else "NotReady"


def _end_of(terminated: Tree) -> str:
    """Why a container ended."""
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def pod_cells(pod: Tree, now: float) -> list[Any]:
    """A pod's row."""
    spec, status, summary = spec_of(pod), status_of(pod), summarize(pod)
    addresses = status.get("podIPs") or ()
    return [
        name_of(pod),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        summary.restarts.text(now),
        age(pod, now),
        (addresses[0].get("ip") if addresses else "") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _gates(spec, status),
    ]


def _gates(spec: Tree, status: Tree) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return "<none>"
    return f"{sum(has_condition(status, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"


def pod_conditions(pod: Tree) -> list[dict[str, str]]:
    """A row's condition for a pod that has ended."""
    phase = status_of(pod).get("phase")
    if phase not in _COMPLETED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _COMPLETED[phase]}]


def _template_cells(tree: Tree, now: float) -> list[Any]:
    template = tree.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    return [name_of(tree), *container_cells(template.get("spec")), labels_text(labels)]


COLUMNS: Mapping[tuple[str, str], Columns] = {
    ("", "pods"): printed(
        "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*", pod_cells, pod_conditions
    ),
    ("", "podtemplates"): printed("Name|Containers|Images|Pod Labels", _template_cells),
}
