"""The few numbers about a kubelet that monitoring asks for, in the Prometheus text format."""

from __future__ import annotations

from collections import Counter

from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.runtime.cri import ContainerState


def metrics_text(workers: PodWorkers) -> str:
    """Names as upstream's kubelet."""
    containers = Counter(each.state for worker in workers for each in worker.runtime.containers)
    pods = sum(1 for worker in workers if worker.runtime.ready_sandbox is not None)
    words = {
        ContainerState.CREATED: "created",
        ContainerState.RUNNING: "running",
        ContainerState.EXITED: "exited",
        ContainerState.UNKNOWN: "unknown",
    }
    lines = [
        "# HELP kubelet_running_pods Number of pods that have a running pod sandbox",
        "# TYPE kubelet_running_pods gauge",
        f"kubelet_running_pods {pods}",
        "# HELP kubelet_running_containers Number of containers currently known, by state",
        "# TYPE kubelet_running_containers gauge",
    ]
    lines += [f'kubelet_running_containers{{container_state="{words[state]}"}} {containers[state]}' for state in words]
    return "\n".join(lines) + "\n"
