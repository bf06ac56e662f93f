"""/metrics/resources: what every pod asks for and may use, as scheduler and kubelet see it.

Source: KEP 1748 (kube_pod_resource_request, kube_pod_resource_limit).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from podkeeper.api.core import v1
from podkeeper.api.pods import requests
from podkeeper.api.pods.phase import is_terminal
from podkeeper.foundation.exposition import Family, Sample

_UNITS = {"cpu": "cores", "memory": "bytes", "storage": "bytes", "ephemeral-storage": "bytes"}


def families(pods: Iterable[v1.Pod]) -> Sequence[Family]:
    """Both families, of pods that have not ended."""
    living = [pod for pod in pods if pod.spec is not None and not is_terminal(pod)]

    def samples(which: requests.Which) -> Iterator[Sample]:
        for pod in living:
            spec = pod.spec or v1.PodSpec()
            for name, amount in requests.of_pod(spec, which).items():
                if amount:
                    yield {**_labels(pod, spec), "resource": name, "unit": _unit(name)}, amount.as_float()

    return (
        Family("kube_pod_resource_limit", "gauge", "What pods may use.", lambda: samples("limits")),
        Family("kube_pod_resource_request", "gauge", "What pods ask for.", lambda: samples("requests")),
    )


def _labels(pod: v1.Pod, spec: v1.PodSpec) -> dict[str, str]:
    return {
        "namespace": pod.metadata.namespace,
        "node": spec.node_name,
        "pod": pod.metadata.name,
        "priority": "" if spec.priority is None else str(spec.priority),
        "scheduler": spec.scheduler_name,
    }


def _unit(name: str) -> str:
    if name in _UNITS:
        return _UNITS[name]
    return "bytes" if name.startswith("hugepages-") else "integer"
