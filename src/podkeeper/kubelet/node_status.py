"""The status of a Node from facts about the machine, the runtime and its pressures. Pure.

https://kubernetes.io/docs/reference/node/node-status/ ; reasons and texts as upstream's nodestatus/setters.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.quantity import Family, Quantity
from podkeeper.kubelet.config import KubeletConfig
from podkeeper.kubelet.machine import DiskSpace, Machine
from podkeeper.runtime.cri import RuntimeInfo
from podkeeper.runtime.cri_images import ImageStatus

VERSION = "v1.36.0"
MAX_IMAGES = 50


class Pressures(Struct, frozen=True):
    """What the node runs short of."""

    memory: bool = False
    disk: bool = False
    pids: bool = False


class NodeFactsNow(Struct, frozen=True):
    """Everything that a status is made of."""

    machine: Machine
    disk: DiskSpace
    runtime: RuntimeInfo
    images: Sequence[ImageStatus]
    pressures: Pressures
    now: float


def capacity(config: KubeletConfig, machine: Machine, disk: DiskSpace) -> dict[str, Quantity]:
    """What the machine has."""
    amounts = {
        "cpu": Quantity.from_value(machine.cpus),
        "memory": _kibibytes(machine.memory),
        "ephemeral-storage": _kibibytes(disk.capacity),
        "pods": Quantity.from_value(config.max_pods),
    }
    for size, total in machine.hugepages.items():
        amounts[f"hugepages-{_page_size(size)}"] = Quantity.from_value(total, Family.BINARY)
    return dict(sorted(amounts.items()))


def allocatable(config: KubeletConfig, machine: Machine, disk: DiskSpace) -> dict[str, Quantity]:
    """What pods may use: capacity less what is reserved, kept back from eviction, or set aside as hugepages."""
    amounts = capacity(config, machine, disk)
    kept = config.system_reserved_memory + config.eviction_memory_available + sum(machine.hugepages.values())
    amounts["cpu"] = Quantity.from_milli(max(0, machine.cpus * 1000 - config.system_reserved_cpu_millis))
    amounts["memory"] = _kibibytes(max(0, machine.memory - kept))
    amounts["ephemeral-storage"] = Quantity.from_value(int(disk.capacity * (1 - config.eviction_nodefs_available)))
    return amounts


def _kibibytes(amount: int) -> Quantity:
    return Quantity(f"{amount // 1024}Ki")


def _page_size(kilobytes: int) -> str:
    if kilobytes % (1024 * 1024) == 0:
        return f"{kilobytes // (1024 * 1024)}Gi"
    return f"{kilobytes // 1024}Mi" if kilobytes % 1024 == 0 else f"{kilobytes}Ki"


def node_status(config: KubeletConfig, facts: NodeFactsNow, before: v1.NodeStatus) -> v1.NodeStatus:
    """The status to report; conditions of others are carried over."""
    machine = facts.machine
    own = _conditions(facts)
    known = {each.type: each for each in before.conditions}
    conditions = [_settled(each, known.get(each.type), facts.now) for each in own]
    others = [each for each in before.conditions if each.type not in {condition.type for condition in own}]
    return v1.NodeStatus(
        capacity=capacity(config, machine, facts.disk),
        allocatable=allocatable(config, machine, facts.disk),
        conditions=(*others, *conditions),
        addresses=(
            v1.NodeAddress(type="InternalIP", address=config.node_ip),
            v1.NodeAddress(type="Hostname", address=config.hostname or config.node_name),
        ),
        daemon_endpoints=v1.NodeDaemonEndpoints(kubelet_endpoint=v1.DaemonEndpoint(port=config.port)),
        node_info=_node_info(machine, facts.runtime),
        images=_images(facts.images),
        runtime_handlers=(v1.NodeRuntimeHandler(name=""),),
        features=v1.NodeFeatures(supplemental_groups_policy=True),
    )


def _node_info(machine: Machine, runtime: RuntimeInfo) -> v1.NodeSystemInfo:
    return v1.NodeSystemInfo(
        machine_id=machine.machine_id,
        system_uuid=machine.system_uuid,
        boot_id=machine.boot_id,
        kernel_version=machine.kernel,
        os_image=machine.os_image,
        container_runtime_version=f"{runtime.name}://{runtime.version}",
        kubelet_version=VERSION,
        kube_proxy_version="",
        operating_system="linux",
        architecture=machine.architecture,
        swap=v1.NodeSwapStatus(capacity=machine.swap),
    )


def _images(images: Sequence[ImageStatus]) -> tuple[v1.ContainerImage, ...]:
    largest = sorted((each for each in images if each.tags or each.digests), key=lambda each: -each.size)
    return tuple(
        v1.ContainerImage(names=(*each.digests, *each.tags), size_bytes=each.size) for each in largest[:MAX_IMAGES]
    )


_PRESSURES = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
}


def _conditions(facts: NodeFactsNow) -> list[v1.NodeCondition]:
    holds = (facts.pressures.memory, facts.pressures.disk, facts.pressures.pids)
    pressures = [
        _condition(kind, held, *texts[held]) for (kind, texts), held in zip(_PRESSURES.items(), holds, strict=True)
    ]
    return [*pressures, _ready(facts.runtime)]


def _condition(kind: str, holds: bool, reason: str, message: str) -> v1.NodeCondition:
    return v1.NodeCondition(type=kind, status="True" if holds else "False", reason=reason, message=message)


def _ready(runtime: RuntimeInfo) -> v1.NodeCondition:
    if runtime.ready and runtime.network_ready:
        return _condition("Ready", True, "KubeletReady", "kubelet is posting ready status")
    if not runtime.ready:
        text = f"[container runtime is down] {runtime.message}".strip()
    else:
        text = (
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
            f"message:{runtime.message}"
        )
    return _condition("Ready", False, "KubeletNotReady", text)


def _settled(new: v1.NodeCondition, before: v1.NodeCondition | None, now: float) -> v1.NodeCondition:
    moment = timestamps.format_time(now)
    same = before is not None and before.status == new.status and before.last_transition_time
    since = before.last_transition_time if before is not None and same else moment
    return v1.NodeCondition(
        type=new.type,
        status=new.status,
        reason=new.reason,
        message=new.message,
        last_heartbeat_time=moment,
        last_transition_time=since,
    )
