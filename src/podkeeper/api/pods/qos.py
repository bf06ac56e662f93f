"""The QoS class of a pod, by which the node decides whom to squeeze first.

Guaranteed: every container has limits for CPU and memory, equal to its requests. BestEffort: none asks for either.
Burstable: all others. Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from podkeeper.api.pods.requests import Resources, add

if TYPE_CHECKING:
    from podkeeper.api.core import v1

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COUNTED = ("cpu", "memory")


def of_pod(pod: v1.Pod) -> str:
    """The class that the pod's status records, else the one that its spec has."""
    if pod.status is not None and pod.status.qos_class:
        return pod.status.qos_class
    return of_spec(pod.spec) if pod.spec is not None else BEST_EFFORT


def of_spec(spec: v1.PodSpec) -> str:
    """The class of a pod with this spec."""
    if spec.resources is not None:
        return _of_resources([spec.resources])
    return _of_resources(container.resources for container in (*spec.containers, *spec.init_containers))


def _of_resources(every: Iterable[v1.ResourceRequirements]) -> str:
    requests: Resources = {}
    limits: Resources = {}
    all_limited = True
    for resources in every:
        add(requests, {name: resources.requests[name] for name in _COUNTED if resources.requests.get(name)})
        limited = {name: resources.limits[name] for name in _COUNTED if resources.limits.get(name)}
        add(limits, limited)
        all_limited = all_limited and len(limited) == len(_COUNTED)
    if not requests and not limits:
        return BEST_EFFORT
    return GUARANTEED if all_limited and requests == limits else BURSTABLE
