"""In-place resize: new requests and limits for containers that run.

    spec changes --fits on the node?--no--> pending: Infeasible (never could) or Deferred (until others leave);
                          |                 the pod goes on with what it was given before
                          yes: given --> in progress: cgroups follow, or the container restarts where its
                                         resizePolicy says so; what cannot be done yet (memory in use) is tried again

https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.conditions import RESIZE, RESIZING
from podkeeper.kubelet.pods import sidecars
from podkeeper.kubelet.resources import QUOTA_PERIOD, SHARES_PER_CPU, container_resources
from podkeeper.kubelet.runtime_state import PodRuntime
from podkeeper.runtime.cri import ContainerState, ContainerStatus, Resources, Usage

Given = Mapping[str, v1.ResourceRequirements]


class ResizeRefusal(Struct, frozen=True):
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


class Change(Struct, frozen=True):
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


def unsafe(name: str, wanted: Resources, has: Resources, usage: Usage) -> str:
    """Why a container's memory limit must not be lowered now, empty when it may: the kernel would end processes."""
    limit = wanted.memory_limit
    lowered = limit is not None and (has.memory_limit is None or limit < has.memory_limit)
    if limit is None or not lowered or usage.memory_working_set < limit:
        return ""
    return (
        f'attempting to set container "{name}" memory limit ({limit}) below current usage ({usage.memory_working_set})'
    )


def actual_resources(pod: v1.Pod, container: v1.Container, current: ContainerStatus) -> v1.ResourceRequirements:
    """What a running container has: its spec's resources, save those that its control group does not have yet."""
    change = change_of(pod, container, current, 0)
    requests, limits = dict(container.resources.requests), dict(container.resources.limits)
    if change is not None:
        has, wanted = current.resources, change.resources
        if has.cpu_shares is not None and has.cpu_shares != wanted.cpu_shares:
            requests["cpu"] = Quantity(f"{-(-has.cpu_shares * 1000 // SHARES_PER_CPU)}m")
        if has.cpu_quota != wanted.cpu_quota:
            milli = (has.cpu_quota or 0) * 1000 // (has.cpu_period or QUOTA_PERIOD)
            _replace(limits, "cpu", Quantity(f"{milli}m") if milli > 0 else None)
        if has.memory_limit != wanted.memory_limit:
            _replace(limits, "memory", _bytes(has.memory_limit) if has.memory_limit else None)
    return v1.ResourceRequirements(limits=limits, requests=requests)


def _replace(amounts: dict[str, Quantity], name: str, amount: Quantity | None) -> None:
    amounts.pop(name, None)
    if amount is not None:
        amounts[name] = amount


def _bytes(number: int) -> Quantity:
    return Quantity(str(number) if number % 1024 else f"{number // 1024}Ki")


def progress_condition(pod: v1.Pod, runtime: PodRuntime, errors: Mapping[str, str]) -> v1.PodCondition | None:
    """How the status shows that containers do not have what they were given yet; ``errors`` by container id."""
    changing = []
    for container in (*pod.spec.containers, *sidecars(pod)):
        current = runtime.latest(container.name)
        if current is not None and current.state is ContainerState.RUNNING and change_of(pod, container, current, 0):
            changing.append(current.id)
    if not changing:
        return None
    text = ", ".join(errors[each] for each in changing if each in errors)
    return v1.PodCondition(type=RESIZING, status="True", reason="Error" if text else "", message=text)


def pending_condition(refusal: ResizeRefusal) -> v1.PodCondition:
    """How the status shows a resize that is not done."""
    return v1.PodCondition(type=RESIZE, status="True", reason=refusal.reason, message=refusal.message)
