"""``/stats/summary``: what the node, its pods and containers use, in the shape of stats/v1alpha1 Summary."""

from __future__ import annotations

from typing import Any

from podkeeper.api import timestamps
from podkeeper.kubelet.machine import disk_space, meminfo
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_worker import PodWorker
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.server.metrics import machine_cpu_seconds
from podkeeper.runtime.cri import Usage
from podkeeper.runtime.failures import NotFound

Tree = dict[str, Any]


async def stats_summary(parts: KubeletParts, workers: PodWorkers) -> Tree:
    """Everything, measured now."""
    return {"node": _node(parts), "pods": [await _pod(parts, worker) for worker in workers]}


def _node(parts: KubeletParts) -> Tree:
    now = timestamps.format_time(parts.clock.time())
    memory, disk = meminfo(), disk_space(parts.config.root_dir)
    return {
        "nodeName": parts.config.node_name,
        "cpu": {"time": now, "usageCoreNanoSeconds": int(machine_cpu_seconds() * 1e9)},
        "memory": {
            "time": now,
            "availableBytes": memory.get("MemAvailable", 0),
            "usageBytes": memory.get("MemTotal", 0) - memory.get("MemFree", 0),
            "workingSetBytes": memory.get("MemTotal", 0) - memory.get("MemAvailable", 0),
        },
        "fs": {
            "time": now,
            "availableBytes": disk.available,
            "capacityBytes": disk.capacity,
            "usedBytes": disk.capacity - disk.available,
            "inodes": disk.inodes,
            "inodesFree": disk.inodes_free,
        },
    }


async def _pod(parts: KubeletParts, worker: PodWorker) -> Tree:
    meta, now = worker.pod.metadata, timestamps.format_time(parts.clock.time())
    usage = parts.cgroups.usage(worker.pod)
    containers = []
    for container in worker.runtime.running():
        try:
            used = await parts.runtime.container_usage(container.id)
        except NotFound:
            continue  # it ended while we asked
        containers.append({"name": container.name, **_usage(used)})
    return {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": worker.pod.status.start_time or now,
        "containers": containers,
        "cpu": {"time": now, "usageCoreNanoSeconds": usage.cpu_ns},
        "memory": {"time": now, "usageBytes": usage.memory_usage, "workingSetBytes": usage.memory_working_set},
    }


def _usage(used: Usage) -> Tree:
    moment = timestamps.format_time(used.timestamp / 1e9)
    return {
        "cpu": {"time": moment, "usageCoreNanoSeconds": used.cpu_ns},
        "memory": {
            "time": moment,
            "usageBytes": used.memory_usage,
            "workingSetBytes": used.memory_working_set,
            "rssBytes": used.memory_rss,
        },
        "rootfs": {"time": moment, "usedBytes": used.rootfs_bytes, "inodesUsed": used.rootfs_inodes},
    }
