"""A pod's phase from its container statuses, by upstream's getPhase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from podkeeper.api.core import v1
from podkeeper.kubelet.pods import is_sidecar

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"


def pod_phase(pod: v1.Pod, statuses: Sequence[v1.ContainerStatus], *, ended: bool) -> str:
    """``ended``: nothing will be started any more, so stopped containers decide between Succeeded and Failed."""
    by_name = {each.name: each for each in statuses}
    init = Counter(_init_progress(each, by_name.get(each.name)) for each in pod.spec.init_containers)
    begun = any(_has_run(by_name.get(each.name)) for each in pod.spec.containers)
    if init["failed"] and pod.spec.restart_policy == "Never":
        return FAILED
    if ended and init["failed"]:
        return FAILED
    if init["pending"] and not begun and not ended:
        return PENDING
    return _by_containers(pod, [by_name.get(each.name) for each in pod.spec.containers], ended)


def _by_containers(pod: v1.Pod, statuses: Sequence[v1.ContainerStatus | None], ended: bool) -> str:
    counts = Counter(_progress(status) for status in statuses)
    unborn = counts["waiting"] + counts["unknown"]
    if ended and not counts["running"]:
        return FAILED if counts["failed"] or unborn else SUCCEEDED
    if unborn:
        return PENDING
    if counts["running"]:
        return RUNNING
    if pod.spec.restart_policy == "Always":
        return RUNNING
    if not counts["failed"]:
        return SUCCEEDED
    return FAILED if pod.spec.restart_policy == "Never" else RUNNING


def _progress(status: v1.ContainerStatus | None) -> str:
    if status is None:
        return "unknown"
    if status.state.running is not None:
        return "running"
    last = status.state.terminated or (status.last_state.terminated if status.state.waiting else None)
    if last is not None:
        return "failed" if last.exit_code or status.state.waiting else "succeeded"
    return "waiting"


def _init_progress(container: v1.Container, status: v1.ContainerStatus | None) -> str:
    if is_sidecar(container):
        started = status is not None and bool(status.started)
        return "done" if started else "pending"
    if status is None:
        return "pending"
    last = status.state.terminated or status.last_state.terminated
    if status.state.terminated is not None and status.state.terminated.exit_code == 0:
        return "done"
    if status.state.running is None and last is not None and last.exit_code != 0:
        return "failed"
    return "pending"


def _has_run(status: v1.ContainerStatus | None) -> bool:
    if status is None:
        return False
    states = (status.state, status.last_state)
    return any(state.running is not None or state.terminated is not None for state in states)
