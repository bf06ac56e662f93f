"""In-place resize: new requests and limits for containers that run.

    spec changes --fits on the node?--no--> pending: Infeasible (never could) or Deferred (until others leave);
                          |                 the pod goes on with what it was given before
                          yes: given --> cgroups follow, or the container restarts where its resizePolicy says so

https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.kubelet.conditions import RESIZE
from podkeeper.kubelet.resources import container_resources
from podkeeper.runtime.cri import ContainerStatus, Resources

Given = Mapping[str, v1.ResourceRequirements]


@dataclass(frozen=True, slots=True)
class ResizeRefusal:
    """Why a resize is not done now; ``reason`` is Infeasible or Deferred."""

    reason: str
    message: str


Fits = Callable[[v1.Pod], ResizeRefusal | None]


class Allocation:
    """What one pod was given; ``pending`` says why it was not given what its spec says."""

    def __init__(self) -> None:
        self._given: Given | None = None
        self.pending: ResizeRefusal | None = None

    def settle(self, pod: v1.Pod, fits: Fits) -> v1.Pod:
        """The pod with the resources that it has; the spec's own whenever they fit."""
        wanted = _wanted(pod)
        if self._given is None:
            self._given = _told(pod) if conditions.is_true(pod.status.conditions, RESIZE) else wanted
        self.pending = None if wanted == self._given else fits(pod)
        if self.pending is None:
            self._given = wanted
            return pod
        return _with(pod, self._given)


def _wanted(pod: v1.Pod) -> Given:
    return {each.name: each.resources for each in (*pod.spec.init_containers, *pod.spec.containers)}


def _told(pod: v1.Pod) -> Given:
    """What the status says that containers have, for a pod whose resize was pending when the kubelet stopped."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return {**_wanted(pod), **{each.name: each.resources for each in statuses if each.resources is not None}}


def _with(pod: v1.Pod, given: Given) -> v1.Pod:
    def had(container: v1.Container) -> v1.Container:
        return replace(container, resources=given.get(container.name, container.resources))

    spec = replace(
        pod.spec,
        containers=tuple(had(each) for each in pod.spec.containers),
        init_containers=tuple(had(each) for each in pod.spec.init_containers),
    )
    return replace(pod, spec=spec)


@dataclass(frozen=True, slots=True)
class Change:
    """What a running container's cgroup should say, and whether the container must restart for it."""

    resources: Resources
    restart: bool


def change_of(pod: v1.Pod, container: v1.Container, current: ContainerStatus, memory_capacity: int) -> Change | None:
    """How a running container differs from its spec; None when it does not, or when nobody knows what it has."""
    has = current.resources
    if has.cpu_shares is None:
        return None
    wanted = container_resources(pod, container, memory_capacity, has.pids_limit)
    cpu = (wanted.cpu_shares, wanted.cpu_quota) != (has.cpu_shares, has.cpu_quota)
    memory = wanted.memory_limit != has.memory_limit
    if not cpu and not memory:
        return None
    policies = {each.resource_name: each.restart_policy for each in container.resize_policy}
    restarting = {name for name, policy in policies.items() if policy == "RestartContainer"}
    return Change(wanted, (cpu and "cpu" in restarting) or (memory and "memory" in restarting))


def pending_condition(refusal: ResizeRefusal) -> v1.PodCondition:
    """How the status shows a resize that is not done."""
    return v1.PodCondition(type=RESIZE, status="True", reason=refusal.reason, message=refusal.message)
