"""/configz: the kubelet's settings as a KubeletConfiguration (kubelet.config.k8s.io/v1beta1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.kubelet.config import KubeletConfig


def settings(config: KubeletConfig) -> Mapping[str, Any]:
    """The document; what is not there is not a choice here."""
    taints = [
        {"key": key, "value": value, "effect": effect} for key, (value, effect) in config.registration_taints.items()
    ]
    told = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "enableServer": config.serving is not None,
        "address": config.address,
        "port": config.port,
        "authentication": {
            "x509": {"clientCAFile": str(config.client_ca or "")},
            "webhook": {"enabled": True, "cacheTTL": "10s"},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook", "webhook": {"cacheAuthorizedTTL": "10s", "cacheUnauthorizedTTL": "10s"}},
        "registerNode": True,
        "registerWithTaints": taints,
        "clusterDomain": config.cluster_domain,
        "clusterDNS": list(config.cluster_dns),
        "resolvConf": str(config.resolv_conf),
        "nodeStatusReportFrequency": _duration(config.status_report_seconds),
        "nodeLeaseDurationSeconds": config.lease_seconds,
        "cgroupRoot": config.cgroup_root,
        "cgroupDriver": "cgroupfs",
        "maxPods": config.max_pods,
        "podPidsLimit": -1 if config.pod_pids_limit is None else config.pod_pids_limit,
        "maxParallelImagePulls": config.max_parallel_image_pulls,
        "containerLogMaxSize": str(config.container_log_max_size),
        "containerLogMaxFiles": config.container_log_max_files,
        "allowedUnsafeSysctls": list(config.allowed_unsafe_sysctls),
        "evictionHard": {
            "memory.available": str(config.eviction_memory_available),
            "nodefs.available": f"{config.eviction_nodefs_available:.0%}",
        },
        "systemReserved": {
            "cpu": f"{config.system_reserved_cpu_millis}m",
            "memory": str(config.system_reserved_memory),
        },
    }
    return {"kubeletconfig": told}


def _duration(seconds: float) -> str:
    """A duration as Go writes it."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    shown = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{shown}{whole % 60}s"
