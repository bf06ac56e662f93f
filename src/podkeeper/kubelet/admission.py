"""What the node itself checks before it takes a pod: whoever bound it there may have been wrong or raced.

Reasons and texts as upstream's lifecycle/predicate.go; a refused pod becomes Failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.api.pods import affinity, ports, requests, tolerations
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.resize import ResizeRefusal
from podkeeper.kubelet.resources import ZERO
from podkeeper.kubelet.sandbox_config import SAFE_SYSCTLS
from podkeeper.kubelet.status import Verdict


class NodeRoom(Struct, frozen=True):
    """What the node offers. ``node`` is None while its labels are not known."""

    allocatable: Mapping[str, Quantity]
    taints: Sequence[v1.Taint] = ()
    node: affinity.NodeFacts | None = None
    allowed_sysctls: Sequence[str] = ()


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
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        if any(rule.action != "Restart" for rule in container.restart_policy_rules):
            text = f"container {container.name}: restart rules know only the action Restart on this node"
            return "RestartRuleNotSupported", text
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
    lack = _lacking(pod, others, room)
    return _out_of(lack[0], *(_plain(each, lack[0]) for each in lack[1:])) if lack else None


def _lacking(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> tuple[str, Quantity, Quantity, Quantity] | None:
    """The first resource that there is too little of: what is wanted, taken and offered."""
    used: requests.Resources = {}
    for other in others:
        requests.add(used, requests.of_pod(other.spec))
    for resource, wanted in sorted(requests.of_pod(pod.spec).items()):
        taken, offered = used.get(resource, ZERO), room.allocatable.get(resource, ZERO)
        if wanted and taken + wanted > offered:
            return resource, wanted, taken, offered
    return None


def admit_resize(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> ResizeRefusal | None:
    """Why a running pod cannot be given what its spec says now."""
    lack = _lacking(pod, others, room)
    if lack is None:
        return None
    resource, wanted, taken, offered = lack[0], *(_plain(each, lack[0]) for each in lack[1:])
    if wanted > offered:
        text = f"Node didn't have enough capacity: {resource}, requested: {wanted}, capacity: {offered}"
        return ResizeRefusal("Infeasible", text)
    return ResizeRefusal("Deferred", _out_of(resource, wanted, taken, offered)[1])


def _plain(amount: Quantity, resource: str) -> int:
    return amount.milli_value() if resource == "cpu" else amount.value()


def _out_of(resource: str, wanted: int, used: int, capacity: int) -> tuple[str, str]:
    text = f"Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, capacity: {capacity}"
    return f"OutOf{resource}", text


def _affinity(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    if room.node is None or affinity.requires(pod.spec, room.node):
        return None
    return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


def _ports(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    taken = (port for other in others for port in ports.host_ports(other.spec))
    if ports.conflicting(ports.host_ports(pod.spec), taken) is not None:
        text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        return "NodePorts", text
    return None


def _taints(pod: v1.Pod, others: Sequence[v1.Pod], room: NodeRoom) -> Refusal:
    taint = tolerations.untolerated(room.taints, pod.spec.tolerations, (tolerations.NO_EXECUTE,))
    if taint is None:
        return None
    text = f"Predicate TaintToleration failed: node(s) had taint {{{taint.key}: {taint.value}}}"
    return "TaintToleration", f"{text}, that the pod didn't tolerate"
