"""What scheduling looks at in a pod, taken out once."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.api.pods import ports, priority, requests
from podkeeper.api.pods.ports import HostPort
from podkeeper.api.quantity import Quantity

# What a container without requests counts as in scoring, so that pods without any are spread too.
# Source: kube-scheduler's defaults for non-zero requests, 100 milli-CPU and 200 MB.
DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024


class PodFacts(Struct, frozen=True):
    """``requests`` count as the columns do (milli-CPU for cpu, else plain numbers), ``nonzero`` (milli-CPU, bytes)."""

    pod: v1.Pod
    spec: v1.PodSpec
    requests: Mapping[str, int]
    nonzero: tuple[int, int]
    host_ports: tuple[HostPort, ...]
    priority: int


def pod_facts(pod: v1.Pod) -> PodFacts:
    """Takes the facts out of a pod; one without a spec asks for nothing."""
    spec = pod.spec or v1.PodSpec()
    amounts = {name: in_units(name, amount) for name, amount in requests.of_pod(spec).items()}
    cpu = amounts.get("cpu") or DEFAULT_MILLI_CPU * len(spec.containers)
    memory = amounts.get("memory") or DEFAULT_MEMORY * len(spec.containers)
    return PodFacts(
        pod=pod,
        spec=spec,
        requests={name: amount for name, amount in amounts.items() if amount},
        nonzero=(cpu, memory),
        host_ports=ports.host_ports(spec),
        priority=priority.of_pod(pod),
    )


def in_units(name: str, amount: Quantity) -> int:
    """A quantity as the columns count it."""
    return amount.milli_value() if name == "cpu" else amount.value()
