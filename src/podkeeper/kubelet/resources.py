"""Requests and limits as the kernel takes them: CPU shares and quota, memory limits, OOM scores, per container and pod.

Formulas as upstream's cm/helpers_linux.go and qos/policy.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from podkeeper.api.core import v1
from podkeeper.api.pods import priority, qos, requests
from podkeeper.api.pods.requests import is_sidecar
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.pods import sidecars
from podkeeper.runtime.cri import Resources

MIN_SHARES, MAX_SHARES = 2, 262_144
SHARES_PER_CPU = 1024
QUOTA_PERIOD, MIN_QUOTA = 100_000, 1000
GUARANTEED_OOM, BEST_EFFORT_OOM, CRITICAL_OOM = -997, 1000, -997
ZERO = Quantity("0")


def shares(milli_cpu: int) -> int:
    """cpu.shares for a request in thousandths of a core."""
    return max(MIN_SHARES, min(MAX_SHARES, milli_cpu * SHARES_PER_CPU // 1000))


def quota(milli_cpu: int) -> int | None:
    """cpu.cfs_quota_us per 100 ms for a limit in thousandths of a core; None for no limit."""
    return max(MIN_QUOTA, milli_cpu * QUOTA_PERIOD // 1000) if milli_cpu > 0 else None


def container_resources(
    pod: v1.Pod, container: v1.Container, memory_capacity: int, pids_limit: int | None = None
) -> Resources:
    """What the runtime gives a container's cgroup; ``memory_capacity`` is the node's, in bytes."""
    limits = {**shared_limits(pod), **container.resources.limits}
    cpu_limit = limits.get("cpu", ZERO).milli_value()
    cpu_request = container.resources.requests.get("cpu", ZERO).milli_value() or cpu_limit
    memory = limits.get("memory", ZERO).value()
    limited = quota(cpu_limit)
    return Resources(
        cpu_shares=shares(cpu_request),
        cpu_quota=limited,
        cpu_period=QUOTA_PERIOD if limited is not None else None,
        memory_limit=memory or None,
        oom_score_adj=oom_score_adj(pod, container, memory_capacity),
        pids_limit=pids_limit,
        hugepage_limits=_hugepages(container.resources.limits),
    )


def shared_limits(pod: v1.Pod) -> Mapping[str, Quantity]:
    """The pod's own limits: they hold for each container that declares none."""
    return pod.spec.resources.limits if pod.spec.resources is not None else {}


def _hugepages(limits: Mapping[str, Quantity]) -> dict[str, int]:
    found = {name.removeprefix("hugepages-"): amount.value() for name, amount in limits.items()}
    return {size: found[size] for size in found if f"hugepages-{size}" in limits}


def oom_score_adj(pod: v1.Pod, container: v1.Container, memory_capacity: int) -> int:
    """How willingly the kernel kills it: -997 guaranteed or critical, 1000 best effort, in between by its request."""
    if priority.is_critical(pod):
        return CRITICAL_OOM
    level = qos.of_pod(pod)
    if level == qos.GUARANTEED:
        return GUARANTEED_OOM
    if level == qos.BEST_EFFORT:
        return BEST_EFFORT_OOM
    score = _burstable_score(pod, container, memory_capacity)
    if is_sidecar(container) and container in pod.spec.init_containers:
        score = min([score, *(_burstable_score(pod, each, memory_capacity) for each in pod.spec.containers)])
    return score


def _burstable_score(pod: v1.Pod, container: v1.Container, memory_capacity: int) -> int:
    requested = container.resources.requests.get("memory", ZERO).value() + _share_of_the_rest(pod)
    score = 1000 - 1000 * requested // max(memory_capacity, 1)
    floor = 1000 + GUARANTEED_OOM
    return floor if score < floor else min(score, BEST_EFFORT_OOM - 1)


def _share_of_the_rest(pod: v1.Pod) -> int:
    """What each container gets of the pod's own memory request beyond what the containers ask for (KEP-2837)."""
    if pod.spec.resources is None or "memory" not in pod.spec.resources.requests:
        return 0
    asked = requests.of_containers(pod.spec).get("memory", ZERO)
    rest = pod.spec.resources.requests["memory"].value() - asked.value()
    return max(rest, 0) // (len(pod.spec.containers) + len(sidecars(pod)))


def pod_resources(pod: v1.Pod, pids_limit: int | None = None) -> Resources:
    """What the pod's own cgroup gets; limits only where every container declares one."""
    if qos.of_pod(pod) == qos.BEST_EFFORT:
        return Resources(cpu_shares=MIN_SHARES, pids_limit=pids_limit)
    cpu, memory = pod_limit(pod, "cpu"), pod_limit(pod, "memory")
    limited = quota(cpu.milli_value()) if cpu else None
    return Resources(
        cpu_shares=shares(pod_request(pod, "cpu").milli_value()),
        cpu_quota=limited,
        cpu_period=QUOTA_PERIOD if limited is not None else None,
        memory_limit=memory.value() if memory else None,
        pids_limit=pids_limit,
    )


def pod_request(pod: v1.Pod, resource: str) -> Quantity:
    """The pod's effective request of one resource."""
    return requests.of_pod(pod.spec).get(resource, ZERO)


def pod_limit(pod: v1.Pod, resource: str) -> Quantity | None:
    """The pod's effective limit, or None when a container could use more than any sum of limits."""
    if pod.spec.resources is not None and resource in pod.spec.resources.limits:
        return pod.spec.resources.limits[resource]
    counted = [*pod.spec.containers, *sidecars(pod)]
    if not all(resource in each.resources.limits for each in counted):
        return None
    return requests.of_pod(pod.spec, "limits").get(resource)
