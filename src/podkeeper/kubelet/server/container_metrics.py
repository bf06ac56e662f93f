"""/metrics/cadvisor: what machine, pods and containers use, under the names that cAdvisor gives them.

Dashboards tell a container's rows by ``image``, a pod's by an empty ``container``, and the machine's by ``id="/"``.
Source: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from podkeeper.foundation.exposition import Family, Labels, Sample, single
from podkeeper.kubelet.machine import meminfo, read_machine
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_worker import PodWorker
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.server.metrics import machine_cpu_seconds, memory_in_use
from podkeeper.runtime.cri import Usage
from podkeeper.runtime.failures import NotFound

_NANO = 1e9
_RECEIVED, _SENT = 0, 8  # where the columns of /proc/net/dev begin that tell of either direction
_NETWORK = {"bytes": 0, "packets": 1, "errors": 2, "packets_dropped": 3}


class Interface(Struct, frozen=True):
    """One network interface and its counters, as /proc/net/dev has them."""

    name: str
    counts: tuple[int, ...]


async def container_families(parts: KubeletParts, workers: PodWorkers) -> Sequence[Family]:
    """Everything, measured now."""
    found: dict[str, list[Sample]] = defaultdict(list)
    used, now = memory_in_use(), int(parts.clock.time() * _NANO)
    _note(found, _labels("/"), Usage(now, int(machine_cpu_seconds() * _NANO), used, used))
    for worker in workers:
        await _note_pod(found, parts, worker)
    machine = read_machine()
    families = [_family(name, samples) for name, samples in found.items()]
    return (
        *families,
        single("machine_cpu_cores", "gauge", "Processors.", lambda: machine.cpus),
        single("machine_memory_bytes", "gauge", "Memory.", lambda: meminfo().get("MemTotal", 0)),
    )


def interfaces(pid: int) -> Sequence[Interface]:
    """The interfaces of a process's network namespace; none of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    except OSError:
        return ()
    pairs = (line.partition(":") for line in lines)
    return [Interface(name.strip(), tuple(map(int, counts.split()))) for name, _, counts in pairs]


async def _note_pod(found: dict[str, list[Sample]], parts: KubeletParts, worker: PodWorker) -> None:
    pod, sandbox = worker.pod, worker.runtime.ready_sandbox
    place = parts.cgroups.path(pod)
    whose = {"namespace": pod.metadata.namespace, "pod": pod.metadata.name}
    if sandbox is not None:
        total, now = parts.cgroups.usage(pod), parts.clock.time()
        labels = _labels(place, **whose)
        memory = (total.memory_working_set, total.memory_usage, total.memory_rss)
        _note(found, labels, Usage(int(now * _NANO), total.cpu_ns, *memory, pids=total.pids))
        for name, value, interface in _network(sandbox.pid if not pod.spec.host_network else 0):
            found[name].append(({**labels, "interface": interface}, value, int(now * 1000)))
    for container in worker.runtime.running():
        try:
            used = await parts.runtime.container_usage(container.id)
        except NotFound:
            continue  # it ended while we asked
        names = {"container": container.name, "image": container.image, "name": container.id}
        labels = _labels(f"{place}/{container.id}", **whose, **names)
        _note(found, labels, used)
        found["container_fs_usage_bytes"].append(({**labels, "device": ""}, used.rootfs_bytes))
        found["container_start_time_seconds"].append((labels, container.started_at / _NANO))


def _note(found: dict[str, list[Sample]], labels: Labels, used: Usage) -> None:
    moment = used.timestamp // 1_000_000
    found["container_cpu_usage_seconds_total"].append(({**labels, "cpu": "total"}, used.cpu_ns / _NANO, moment))
    found["container_memory_working_set_bytes"].append((labels, used.memory_working_set, moment))
    found["container_memory_usage_bytes"].append((labels, used.memory_usage, moment))
    found["container_memory_rss"].append((labels, used.memory_rss, moment))
    found["container_processes"].append((labels, used.pids, moment))
    found["container_last_seen"].append((labels, moment // 1000, moment))


def _network(pid: int) -> Iterator[tuple[str, int, str]]:
    """Name, value and interface of each counter."""
    for interface in interfaces(pid) if pid else ():
        if interface.name == "lo":
            continue
        for direction, start in (("receive", _RECEIVED), ("transmit", _SENT)):
            for what, column in _NETWORK.items():
                yield f"container_network_{direction}_{what}_total", interface.counts[start + column], interface.name


def _labels(place: str, **names: str) -> dict[str, str]:
    empty = dict.fromkeys(("container", "id", "image", "name", "namespace", "pod"), "")
    return {**empty, "id": place, **names}


def _family(name: str, samples: list[Sample]) -> Family:
    kind = "counter" if name.endswith("_total") else "gauge"
    return Family(name, kind, "What is used, as cAdvisor tells it.", lambda: samples)
