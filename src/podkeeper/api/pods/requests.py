"""What a pod asks for, all containers together, and what it is limited to.

Init containers run one after the other, before the others: of them the greatest counts, not the sum. Sidecars (init
containers that restart always) keep running: they count with those after them, and with the app containers. Pod-level
resources replace what the containers add up to; the overhead of the runtime class comes on top.

Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers and
KEP-2837.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from podkeeper.api.quantity import Quantity

if TYPE_CHECKING:
    from podkeeper.api.core import v1

Resources = dict[str, Quantity]
Which = Literal["requests", "limits"]

POD_LEVEL_COMPUTE = ("cpu", "memory")


def of_pod(spec: v1.PodSpec, which: Which = "requests") -> Resources:
    """The pod's effective requests or limits, overhead included. A limit that no container has is no limit."""
    total = of_containers(spec, which)
    if spec.resources is not None:
        for name, amount in _amounts(spec.resources, which).items():
            if is_pod_level(name):
                total[name] = amount
    for name, amount in spec.overhead.items():
        if which == "requests" or name in total:
            add(total, {name: amount})
    return total


def of_containers(spec: v1.PodSpec, which: Which = "requests") -> Resources:
    """The same for the containers alone: no pod-level resources, no overhead."""
    total: Resources = {}
    for container in spec.containers:
        add(total, _amounts(container.resources, which))
    if not spec.init_containers:
        return total
    sidecars: Resources = {}
    starting: Resources = {}
    for init in spec.init_containers:
        wanted = dict(sidecars)
        add(wanted, _amounts(init.resources, which))
        if is_sidecar(init):
            add(total, _amounts(init.resources, which))
            sidecars = wanted
        raise_to(starting, wanted)
    raise_to(total, starting)
    return total


def is_sidecar(container: v1.Container) -> bool:
    """Whether an init container keeps running beside the app containers."""
    return container.restart_policy == "Always"


def is_pod_level(name: str) -> bool:
    """Whether pod-level resources may name this one."""
    return name in POD_LEVEL_COMPUTE or name.startswith("hugepages-")


def add(total: Resources, more: Mapping[str, Quantity]) -> None:
    """Adds amounts into a total, name by name."""
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def raise_to(total: Resources, least: Mapping[str, Quantity]) -> None:
    """Raises each amount of a total to at least that."""
    for name, amount in least.items():
        if name not in total or total[name] < amount:
            total[name] = amount


def _amounts(resources: v1.ResourceRequirements, which: Which) -> Mapping[str, Quantity]:
    return resources.requests if which == "requests" else resources.limits
