"""Which pod must go when the node, or the pod's own share of it, runs out. Pure.

Order as upstream: pods that use more than they asked for first, then by priority, then by how much more they use.
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.api.pods import priority, requests
from podkeeper.api.quantity import Family, Quantity
from podkeeper.kubelet.resources import ZERO
from podkeeper.kubelet.status import Verdict

MIN_DISK_AVAILABLE = 1 << 30


class Consumer(Struct, frozen=True):
    """A pod and how much of the scarce resource it uses, in bytes."""

    pod: v1.Pod
    used: int


class Shortage(Struct, frozen=True):
    """What is scarce: ``memory`` or ``ephemeral-storage``, the threshold and what is left, in bytes."""

    resource: str
    threshold: int
    available: int


def memory_shortage(available: int, threshold: int) -> Shortage | None:
    """Memory below its threshold."""
    return Shortage("memory", threshold, available) if available < threshold else None


def disk_shortage(available: int, capacity: int, fraction: float) -> Shortage | None:
    """Disk below ``fraction`` of its size, or 1 GiB where that is less: a large disk is not full at 10 %."""
    threshold = min(int(capacity * fraction), MIN_DISK_AVAILABLE)
    return Shortage("ephemeral-storage", threshold, available) if available < threshold else None


def choose_victim(consumers: Sequence[Consumer], shortage: Shortage) -> Consumer | None:
    """Who is evicted next; None when nobody may be."""
    candidates = [each for each in consumers if not priority.is_critical(each.pod)]

    def rank(consumer: Consumer) -> tuple[bool, int, int]:
        excess = consumer.used - _request(consumer.pod, shortage.resource)
        return excess <= 0, priority.of_pod(consumer.pod), -excess

    return min(candidates, key=rank, default=None)


def _request(pod: v1.Pod, resource: str) -> int:
    return requests.of_pod(pod.spec).get(resource, ZERO).value()


def pressure_verdict(victim: Consumer, shortage: Shortage) -> Verdict:
    """What the evicted pod's status says."""
    threshold, available, used, request = (
        Quantity.from_value(amount, Family.BINARY)
        for amount in (shortage.threshold, shortage.available, victim.used, _request(victim.pod, shortage.resource))
    )
    text = (
        f"The node was low on resource: {shortage.resource}. Threshold quantity: {threshold}, available: {available}. "
    )
    if used > request:
        text += f"Pod was using {used}, request is {request}, has larger consumption of {shortage.resource}. "
    return Verdict("Failed", "Evicted", text, disruption=True)


class LocalStorage(Struct, frozen=True):
    """Bytes that a pod holds on the node's disk: by emptyDir volume, and by container (writable layer and logs)."""

    volumes: dict[str, int]
    containers: dict[str, int]


def has_storage_limits(pod: v1.Pod) -> bool:
    """Whether measuring the pod's disk use could lead to anything."""
    if any(_disk_limit(volume) for volume in pod.spec.volumes):
        return True
    return any("ephemeral-storage" in each.resources.limits for each in pod.spec.containers)


def _disk_limit(volume: v1.Volume) -> Quantity | None:
    source = volume.empty_dir
    if source is None or source.medium or source.size_limit is None or not source.size_limit > ZERO:
        return None
    return source.size_limit


def storage_verdict(pod: v1.Pod, storage: LocalStorage) -> Verdict | None:
    """Why the pod must go for what it holds on disk; None when it may stay."""
    for volume in pod.spec.volumes:
        limit = _disk_limit(volume)
        if limit is not None and storage.volumes.get(volume.name, 0) > limit.value():
            text = f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
            return Verdict("Failed", "Evicted", text, disruption=True)
    for container in pod.spec.containers:
        most = container.resources.limits.get("ephemeral-storage")
        if most is not None and storage.containers.get(container.name, 0) > most.value():
            text = f'Container {container.name} exceeded its local ephemeral storage limit "{most}". '
            return Verdict("Failed", "Evicted", text, disruption=True)
    return None
