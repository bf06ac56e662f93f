"""What the node tells monitoring programs, with upstream's names: /metrics of the kubelet itself, /metrics/resource of
what node, pods and containers use."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from podkeeper.foundation import process_metrics
from podkeeper.foundation.exposition import Family, Sample, single
from podkeeper.kubelet.machine import meminfo
from podkeeper.kubelet.node_status import VERSION
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.runtime.cri import ContainerState
from podkeeper.runtime.failures import NotFound

_WORDS = {
    ContainerState.CREATED: "created",
    ContainerState.RUNNING: "running",
    ContainerState.EXITED: "exited",
    ContainerState.UNKNOWN: "unknown",
}
_NANO = 1e9


def kubelet_families(parts: KubeletParts, workers: PodWorkers) -> Sequence[Family]:
    """/metrics."""
    containers = Counter(each.state for worker in workers for each in worker.runtime.containers)
    pods = sum(1 for worker in workers if worker.runtime.ready_sandbox is not None)
    states: list[Sample] = [({"container_state": word}, containers[state]) for state, word in _WORDS.items()]
    name: list[Sample] = [({"node": parts.config.node_name}, 1)]
    major, minor = VERSION.removeprefix("v").split(".")[:2]
    return (
        Family("kubelet_node_name", "gauge", "The node's name, always 1.", lambda: name),
        single("kubelet_running_pods", "gauge", "Pods with a running sandbox.", lambda: pods),
        Family("kubelet_running_containers", "gauge", "Containers by state.", lambda: states),
        *process_metrics.families({"gitVersion": VERSION, "major": major, "minor": minor}),
        *parts.api.families(),
    )


async def resource_families(parts: KubeletParts, workers: PodWorkers) -> Sequence[Family]:
    """/metrics/resource, measured now: what metrics-server reads."""
    found: dict[str, list[Sample]] = {
        name: [] for kind in ("container", "pod") for name in (f"{kind}_cpu", f"{kind}_memory")
    }
    started: list[Sample] = []
    for worker in workers:
        metadata = worker.pod.metadata
        pod = {"namespace": metadata.namespace, "pod": metadata.name}
        for container in worker.runtime.running():
            labels = {"container": container.name, **pod}
            try:
                used = await parts.runtime.container_usage(container.id)
            except NotFound:
                continue  # it ended while we asked
            moment = used.timestamp // 1_000_000
            found["container_cpu"].append((labels, used.cpu_ns / _NANO, moment))
            found["container_memory"].append((labels, used.memory_working_set, moment))
            started.append((labels, container.started_at / _NANO))
        if worker.runtime.ready_sandbox is not None:
            total, moment = parts.cgroups.usage(worker.pod), int(parts.clock.time() * 1000)
            found["pod_cpu"].append((pod, total.cpu_ns / _NANO, moment))
            found["pod_memory"].append((pod, total.memory_working_set, moment))
    return (
        *_usage(found),
        _node_family("cpu_usage_seconds_total", "counter", machine_cpu_seconds(), parts),
        _node_family("memory_working_set_bytes", "gauge", memory_in_use(), parts),
        Family("container_start_time_seconds", "gauge", "Start since the epoch.", lambda: started),
        single("resource_scrape_error", "gauge", "1 where something could not be measured.", lambda: 0),
    )


def machine_cpu_seconds() -> float:
    """Processor time that all of the machine has used, idle and waiting for disks aside."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def memory_in_use() -> int:
    """Bytes that cannot be taken back without harm."""
    memory = meminfo()
    return memory.get("MemTotal", 0) - memory.get("MemAvailable", 0)


def _usage(found: dict[str, list[Sample]]) -> list[Family]:
    made = []
    for kind in ("container", "pod"):
        cpu, memory = found[f"{kind}_cpu"], found[f"{kind}_memory"]
        made.append(_family(f"{kind}_cpu_usage_seconds_total", "counter", "Processor time in seconds.", cpu))
        made.append(_family(f"{kind}_memory_working_set_bytes", "gauge", "Memory in use.", memory))
    return made


def _node_family(name: str, kind: str, value: float, parts: KubeletParts) -> Family:
    return _family(f"node_{name}", kind, "What the node uses.", [({}, value, int(parts.clock.time() * 1000))])


def _family(name: str, kind: str, text: str, samples: list[Sample]) -> Family:
    return Family(name, kind, text, lambda: samples)
