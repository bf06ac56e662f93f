"""The phase of a pod, from what its containers do.

::

    Pending ──all init containers done, every container started──▶ Running ──all ended, none will restart──▶ Succeeded
       │                                                             │                                      or Failed
       └──an init container failed, restartPolicy Never──▶ Failed ◀──┘

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from podkeeper.api.pods.requests import is_sidecar

if TYPE_CHECKING:
    from podkeeper.api.core import v1

PENDING, RUNNING, SUCCEEDED, FAILED, UNKNOWN = "Pending", "Running", "Succeeded", "Failed", "Unknown"
TERMINAL = (SUCCEEDED, FAILED)


def is_terminal(pod: v1.Pod) -> bool:
    """Whether the pod's status says that its containers ended for good."""
    return pod.status is not None and pod.status.phase in TERMINAL


def of_containers(
    spec: v1.PodSpec,
    statuses: Iterable[v1.ContainerStatus],
    *,
    ending: bool = False,
    initialized: bool = False,
    returning: Collection[str] = (),
) -> str:
    """The phase. ``statuses`` holds those of init and app containers; ``ending``: nothing will be restarted any more;
    ``initialized``: the init containers were through once; ``returning`` names containers that their own restart
    policy or rules bring back after an end, whatever the pod's policy says."""
    by_name = {status.name: status for status in statuses}
    plain = [each for each in spec.init_containers if not is_sidecar(each)]
    sidecars = [each for each in spec.init_containers if is_sidecar(each)]
    init = Counter(_init_state(by_name.get(each.name)) for each in plain if each.name not in returning)
    init["pending"] += sum(each.name in returning for each in plain)
    if init["failed"] and spec.restart_policy == "Never":
        return FAILED
    back = set() if ending else set(returning)
    seen = Counter("running" if each.name in back else _app_state(by_name.get(each.name)) for each in spec.containers)
    starting = 0
    for each in sidecars:
        state, is_starting = _sidecar_state(by_name.get(each.name))
        seen[state] += 1
        starting += is_starting
    if init["pending"] or (starting and not initialized) or seen["waiting"]:
        return PENDING
    return _of_counts(seen, spec.restart_policy, ending)


def _of_counts(seen: Mapping[str, int], restart_policy: str, ending: bool) -> str:
    stopped = seen["succeeded"] + seen["failed"]
    if seen["unknown"]:
        return PENDING
    if seen["running"]:
        return RUNNING
    if not stopped:
        return PENDING
    if not ending and restart_policy == "Always":
        return RUNNING
    if not seen["failed"]:
        return SUCCEEDED
    return FAILED if ending or restart_policy == "Never" else RUNNING


def _init_state(status: v1.ContainerStatus | None) -> str:
    """Of an init container that runs once: ``pending``, ``failed`` (it may be tried again) or ``done``."""
    if status is None:
        return "pending"
    if status.state.terminated is not None:
        return "failed" if status.state.terminated.exit_code else "done"
    if status.state.waiting is not None and status.last_state.terminated is not None:
        return "failed" if status.last_state.terminated.exit_code else "done"
    return "pending"


def _sidecar_state(status: v1.ContainerStatus | None) -> tuple[str, bool]:
    """Of a sidecar: how it counts, and whether the containers after it still wait for it."""
    if status is None:
        return "unknown", False
    if status.state.running is not None:
        return "running", not status.started
    if status.state.terminated is not None:
        return "ended", False  # an ended sidecar does not decide the phase
    if status.state.waiting is not None:
        return ("ended", False) if status.last_state.terminated is not None else ("waiting", True)
    return "unknown", True


def _app_state(status: v1.ContainerStatus | None) -> str:
    if status is None:
        return "unknown"
    if status.state.running is not None:
        return "running"
    if status.state.terminated is not None:
        return "failed" if status.state.terminated.exit_code else "succeeded"
    if status.state.waiting is not None:
        # between two runs: it counts as stopped, and not as a success
        return "failed" if status.last_state.terminated is not None else "waiting"
    return "unknown"
