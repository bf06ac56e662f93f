"""Requests and limits as the kernel takes them: CPU shares and quota, memory limits, OOM scores, per container and pod.

Formulas as upstream's cm/helpers_linux.go and qos/policy.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podkeeper.api.core import v1
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.pods import is_sidecar
from podkeeper.runtime.cri import Resources

MIN_SHARES, MAX_SHARES = 2, 262_144
SHARES_PER_CPU = 1024
QUOTA_PERIOD, MIN_QUOTA = 100_000, 1000
GUARANTEED_OOM, BEST_EFFORT_OOM, CRITICAL_OOM = -997, 1000, -997
SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
ZERO = Quantity("0")
AmountOf = Callable[[v1.Container], Quantity]


def shares(milli_cpu: int) -> int:
    """cpu.shares for a request in thousandths of a core."""
    return max(MIN_SHARES, min(MAX_SHARES, milli_cpu * SHARES_PER_CPU // 1000))


def quota(milli_cpu: int) -> int | None:
    """cpu.cfs_quota_us per 100 ms for a limit in thousandths of a core; None for no limit."""
    return max(MIN_QUOTA, milli_cpu * QUOTA_PERIOD // 1000) if milli_cpu > 0 else None


def container_resources(
    pod: v1.Pod, container: v1.Container, qos: str, memory_capacity: int, pids_limit: int | None = None
) -> Resources:
    """What the runtime gives a container's cgroup; ``memory_capacity`` is the node's, in bytes."""
    requests, limits = container.resources.requests, container.resources.limits
    cpu_limit = limits.get("cpu", ZERO).milli_value()
    cpu_request = requests.get("cpu", ZERO).milli_value() or cpu_limit
    memory = limits.get("memory", ZERO).value()
    limited = quota(cpu_limit)
    return Resources(
        cpu_shares=shares(cpu_request),
        cpu_quota=limited,
        cpu_period=QUOTA_PERIOD if limited is not None else None,
        memory_limit=memory or None,
        oom_score_adj=oom_score_adj(pod, container, qos, memory_capacity),
        pids_limit=pids_limit,
        hugepage_limits=_hugepages(limits),
    )


def _hugepages(limits: Mapping[str, Quantity]) -> dict[str, int]:
    found = {name.removeprefix("hugepages-"): amount.value() for name, amount in limits.items()}
    return {size: found[size] for size in found if f"hugepages-{size}" in limits}


def oom_score_adj(pod: v1.Pod, container: v1.Container, qos: str, memory_capacity: int) -> int:
    """How willingly the kernel kills it: -997 guaranteed or critical, 1000 best effort, in between by its request."""
    if (pod.spec.priority or 0) >= SYSTEM_CRITICAL_PRIORITY:
        return CRITICAL_OOM
    if qos == "Guaranteed":
        return GUARANTEED_OOM
    if qos == "BestEffort":
        return BEST_EFFORT_OOM
    score = _burstable_score(container, memory_capacity)
    if is_sidecar(container) and container in pod.spec.init_containers:
        score = min([score, *(_burstable_score(each, memory_capacity) for each in pod.spec.containers)])
    return score


def _burstable_score(container: v1.Container, memory_capacity: int) -> int:
    requested = container.resources.requests.get("memory", ZERO).value()
    score = 1000 - 1000 * requested // max(memory_capacity, 1)
    floor = 1000 + GUARANTEED_OOM
    return floor if score < floor else min(score, BEST_EFFORT_OOM - 1)


def pod_resources(pod: v1.Pod, qos: str, pids_limit: int | None = None) -> Resources:
    """What the pod's own cgroup gets; limits only where every container declares one."""
    if qos == "BestEffort":
        return Resources(cpu_shares=MIN_SHARES, pids_limit=pids_limit)
    request = pod_request(pod, "cpu").milli_value()
    limited = quota(pod_limit(pod, "cpu").milli_value()) if _all_limited(pod, "cpu") else None
    memory = pod_limit(pod, "memory").value() if _all_limited(pod, "memory") else 0
    return Resources(
        cpu_shares=shares(request),
        cpu_quota=limited,
        cpu_period=QUOTA_PERIOD if limited is not None else None,
        memory_limit=memory or None,
        pids_limit=pids_limit,
    )


def pod_request(pod: v1.Pod, resource: str) -> Quantity:
    """The pod's request: sidecars and containers together, or the hungriest init step, plus overhead (KEP-753)."""
    return _effective(pod, lambda each: _request_of(each, resource)) + pod.spec.overhead.get(resource, ZERO)


def pod_limit(pod: v1.Pod, resource: str) -> Quantity:
    """The pod's limit, summed the same way."""
    return _effective(pod, lambda each: each.resources.limits.get(resource, ZERO)) + pod.spec.overhead.get(
        resource, ZERO
    )


def _request_of(container: v1.Container, resource: str) -> Quantity:
    limits = container.resources.limits.get(resource, ZERO)
    return container.resources.requests.get(resource, limits)


def _effective(pod: v1.Pod, amount_of: AmountOf) -> Quantity:
    running, peak = ZERO, ZERO
    for container in pod.spec.init_containers:
        amount = amount_of(container)
        if is_sidecar(container):
            running = running + amount
            peak = max(peak, running)
        else:
            peak = max(peak, running + amount)
    for container in pod.spec.containers:
        running = running + amount_of(container)
    return max(running, peak)


def _all_limited(pod: v1.Pod, resource: str) -> bool:
    counted = [*pod.spec.containers, *(each for each in pod.spec.init_containers if is_sidecar(each))]
    return all(resource in each.resources.limits for each in counted)


def qos_class(pod: v1.Pod) -> str:
    """Guaranteed, Burstable or BestEffort.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
    """
    amounts: list[tuple[Quantity, Quantity]] = []
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        for resource in ("cpu", "memory"):
            limit = container.resources.limits.get(resource, ZERO)
            amounts.append((container.resources.requests.get(resource, limit), limit))
    if not any(request or limit for request, limit in amounts):
        return "BestEffort"
    if all(limit and request == limit for request, limit in amounts):
        return "Guaranteed"
    return "Burstable"
