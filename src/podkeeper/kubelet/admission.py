"""What the node itself checks before it takes a pod: whoever bound it there may have been wrong or raced.

Reasons and texts as upstream's lifecycle/predicate.go; a refused pod becomes Failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from podkeeper.api.core import v1
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.resources import ZERO, pod_request
from podkeeper.kubelet.sandbox_config import SAFE_SYSCTLS
from podkeeper.kubelet.status import Verdict

DEFAULT_HOST_IPS = ("", "0.0.0.0", "::")  # noqa: S104 - these stand for every address


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """What the node offers. ``matches`` says whether its labels fit a pod's node selector and affinity."""

    allocatable: Mapping[str, Quantity]
    taints: Sequence[v1.Taint] = ()
    matches: Callable[[v1.Pod], bool] = lambda pod: True
    allowed_sysctls: Sequence[str] = field(default=())


def admit(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Verdict | None:
    """Why ``pod`` cannot run beside ``others``; None when it can."""
    for check in (_supported, _operating_system, _sysctls, _resources, _affinity, _ports, _taints):
        refusal = check(pod, others, room)
        if refusal is not None:
            reason, message = refusal
            return Verdict("Failed", reason, f"Pod was rejected: {message}")
    return None


Refusal = tuple[str, str] | None


def _supported(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    """The one place where what this node cannot do at all is refused by name."""
    if pod.spec.host_users is False:
        return "UserNamespacesNotSupported", "spec.hostUsers=false is not supported by this node"
    if pod.spec.runtime_class_name:
        name = pod.spec.runtime_class_name
        return "RuntimeClassNotSupported", f'RuntimeClass "{name}" has no handler on this node'
    if pod.spec.resource_claims:
        return "ResourceClaimsNotSupported", "spec.resourceClaims is not supported by this node"
    return None


def _operating_system(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    if pod.spec.os is not None and pod.spec.os.name != "linux":
        text = "Failed to admit pod as the OS field doesn't match node OS"
        return "PodOSNotSupported", text
    return None


def _sysctls(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    context = pod.spec.security_context
    for sysctl in context.sysctls if context else ():
        name = sysctl.name.replace("/", ".")
        if name not in SAFE_SYSCTLS and not any(_covers(each, name) for each in room.allowed_sysctls):
            return "SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowlisted'
        if name.startswith("net.") and pod.spec.host_network:
            return "SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowed with host net enabled'
        if name.startswith("kernel.") and pod.spec.host_ipc:
            return "SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" not allowed with host ipc enabled'
    return None


def _covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _resources(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    if "pods" in room.allocatable:
        capacity = room.allocatable["pods"].value()
        if len(others) + 1 > capacity:
            return _out_of("pods", 1, len(others), capacity)
    for resource in sorted(_requested(pod)):
        wanted = pod_request(pod, resource)
        capacity_of = room.allocatable.get(resource, ZERO)
        used = ZERO
        for other in others:
            used = used + pod_request(other, resource)
        if wanted and used + wanted > capacity_of:
            return _out_of(resource, *(_plain(each, resource) for each in (wanted, used, capacity_of)))
    return None


def _requested(pod: v1.Pod) -> set[str]:
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return {name for each in containers for name in (*each.resources.requests, *each.resources.limits)}


def _plain(amount: Quantity, resource: str) -> int:
    return amount.milli_value() if resource == "cpu" else amount.value()


def _out_of(resource: str, wanted: int, used: int, capacity: int) -> tuple[str, str]:
    text = f"Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, capacity: {capacity}"
    return f"OutOf{resource}", text


def _affinity(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    if room.matches(pod):
        return None
    return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


def _ports(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    wanted = _host_ports(pod)
    taken = {port for other in others for port in _host_ports(other)}
    if any(_collide(one, two) for one in wanted for two in taken):
        text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        return "NodePorts", text
    return None


def _host_ports(pod: v1.Pod) -> set[tuple[str, str, int]]:
    ports = (port for each in (*pod.spec.init_containers, *pod.spec.containers) for port in each.ports)
    return {(port.host_ip, port.protocol or "TCP", port.host_port) for port in ports if port.host_port}


def _collide(one: tuple[str, str, int], two: tuple[str, str, int]) -> bool:
    everywhere = one[0] in DEFAULT_HOST_IPS or two[0] in DEFAULT_HOST_IPS
    return one[1:] == two[1:] and (everywhere or one[0] == two[0])


def _taints(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    for taint in room.taints:
        if taint.effect == "NoExecute" and not any(_tolerates(each, taint) for each in pod.spec.tolerations):
            shown = f"{taint.key}: {taint.value}" if taint.value else taint.key
            text = f"Predicate TaintToleration failed: node(s) had taint {{{shown}}}, that the pod didn't tolerate"
            return "TaintToleration", text
    return None


def _tolerates(toleration: v1.Toleration, taint: v1.Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or (bool(toleration.key) and toleration.value == taint.value)
