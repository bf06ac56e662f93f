"""The conditions of a pod, by upstream's status/generate.go; those of others are carried over untouched.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.pods.requests import is_sidecar

SANDBOX_READY = "PodReadyToStartContainers"
DISRUPTION = "DisruptionTarget"
RESIZE = "PodResizePending"
RESIZING = "PodResizeInProgress"
PASSING = (RESIZE, RESIZING)
OWNED = (SANDBOX_READY, "Initialized", "Ready", "ContainersReady", "PodScheduled")


class PodConditionFacts(Struct, frozen=True):
    """What conditions need besides statuses; ``extra`` are conditions decided elsewhere in the kubelet."""

    sandbox_ready: bool
    now: float
    extra: tuple[v1.PodCondition, ...] = ()


def disruption_target(message: str) -> v1.PodCondition:
    """The kubelet itself ends the pod (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)."""
    return _condition(DISRUPTION, True, "TerminationByKubelet", message)


def pod_conditions(pod: v1.Pod, status: v1.PodStatus, facts: PodConditionFacts) -> v1.PodStatus:
    """``status`` with its conditions."""
    known = {each.name: each for each in (*status.init_container_statuses, *status.container_statuses)}
    containers = _containers_ready(pod, known, status.phase)
    made = [
        _condition(SANDBOX_READY, facts.sandbox_ready),
        _initialized(pod, known, status.phase),
        _ready(pod, containers),
        containers,
        _condition("PodScheduled", True),
        *facts.extra,
    ]
    before = {each.type: each for each in pod.status.conditions}
    own = [_settled(each, before.get(each.type), pod, facts.now) for each in made]
    made_types = {each.type for each in made} | set(PASSING)
    others = [each for each in pod.status.conditions if each.type not in made_types]
    return msgspec.structs.replace(status, conditions=(*own, *others))


def _condition(kind: str, holds: bool, reason: str = "", message: str = "") -> v1.PodCondition:
    return v1.PodCondition(type=kind, status="True" if holds else "False", reason=reason, message=message)


def _settled(new: v1.PodCondition, before: v1.PodCondition | None, pod: v1.Pod, now: float) -> v1.PodCondition:
    """The condition with its generation and the time of its last change."""
    same = before is not None and before.status == new.status and before.last_transition_time
    since = before.last_transition_time if before is not None and same else timestamps.format_time(now)
    return msgspec.structs.replace(new, last_transition_time=since, observed_generation=pod.metadata.generation)


def _containers_ready(pod: v1.Pod, known: dict[str, v1.ContainerStatus], phase: str) -> v1.PodCondition:
    kind = "ContainersReady"
    if not known:
        return _condition(kind, False, "UnknownContainerStatuses") if phase != "Failed" else _failed(kind)
    counted = [each for each in pod.spec.init_containers if is_sidecar(each)] + list(pod.spec.containers)
    unknown = [each.name for each in counted if each.name not in known]
    unready = [each.name for each in counted if each.name in known and not known[each.name].ready]
    if phase == "Succeeded" and not unknown:
        return _condition(kind, False, "PodCompleted")
    if phase == "Failed":
        return _failed(kind)
    message = _listed(("unknown", unknown), ("unready", unready))
    return _condition(kind, not message, "ContainersNotReady" if message else "", message)


def _failed(kind: str) -> v1.PodCondition:
    return _condition(kind, False, "PodFailed")


def _listed(*groups: tuple[str, Sequence[str]]) -> str:
    return ", ".join(f"containers with {word} status: [{' '.join(names)}]" for word, names in groups if names)


def _ready(pod: v1.Pod, containers: v1.PodCondition) -> v1.PodCondition:
    if containers.status != "True":
        return msgspec.structs.replace(containers, type="Ready")
    states = {each.type: each.status for each in pod.status.conditions}
    missing = []
    for gate in pod.spec.readiness_gates:
        state = states.get(gate.condition_type)
        if state is None:
            missing.append(f'corresponding condition of pod readiness gate "{gate.condition_type}" does not exist.')
        elif state != "True":
            missing.append(f'the status of pod readiness gate "{gate.condition_type}" is not "True", but {state}')
    return _condition("Ready", not missing, "ReadinessGatesNotReady" if missing else "", ", ".join(missing))


def _initialized(pod: v1.Pod, known: dict[str, v1.ContainerStatus], phase: str) -> v1.PodCondition:
    kind, inits = "Initialized", pod.spec.init_containers
    if not known and inits:
        return _condition(kind, False, "UnknownContainerStatuses")
    unknown = [each.name for each in inits if each.name not in known]
    incomplete = [each.name for each in inits if each.name in known and not _is_initialized(each, known[each.name])]
    if phase == "Succeeded" and not unknown:
        return _condition(kind, True, "PodCompleted")
    if any(_has_started(known.get(each.name)) for each in pod.spec.containers):
        return _condition(kind, True)
    message = _listed(("unknown", unknown), ("incomplete", incomplete))
    return _condition(kind, not message, "ContainersNotInitialized" if message else "", message)


def _is_initialized(container: v1.Container, status: v1.ContainerStatus) -> bool:
    return bool(status.started) if is_sidecar(container) else status.ready


def _has_started(status: v1.ContainerStatus | None) -> bool:
    if status is None:
        return False
    ended = status.last_state.terminated is not None or status.state.terminated is not None
    return bool(status.started) or status.state.running is not None or ended
