"""What a kubelet is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from podkeeper.foundation.keyfiles import KeyPair


class KubeletConfig(Struct, frozen=True, kw_only=True):
    """A node's settings. Names follow KubeletConfiguration (kubelet.config.k8s.io/v1beta1) where it has one.

    ``root_dir`` holds volumes and files of pods, ``log_dir`` the containers' logs (default: ``root_dir/logs``).
    Without ``serving`` and ``client_ca`` the node's HTTPS server is not started. ``resolv_conf`` is what pods with
    dnsPolicy Default inherit. ``registration_taints`` are key -> (value, effect).
    ``cgroup_root`` is the control group that everything of the node is below. ``pod_pids_limit`` is finite, unlike
    upstream's default: a pod that forks without end must not take the node's last process.
    """

    node_name: str
    node_ip: str
    root_dir: Path
    log_dir: Path | None = None
    hostname: str = ""
    cgroup_root: str = "/podkeeper"
    address: str = "0.0.0.0"  # noqa: S104 - upstream's default; clients need a certificate
    port: int = 10250
    serving: KeyPair | None = None
    client_ca: Path | None = None
    allowed_users: tuple[str, ...] = ("kube-apiserver-kubelet-client", "system:kube-apiserver")
    allowed_groups: tuple[str, ...] = ("system:masters",)
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    max_pods: int = 110
    pod_pids_limit: int | None = 4096
    system_reserved_cpu_millis: int = 0
    system_reserved_memory: int = 0
    node_labels: Mapping[str, str] = field(default_factory=dict)
    registration_taints: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    max_parallel_image_pulls: int = 4
    container_log_max_size: int = 10 * 1024 * 1024
    container_log_max_files: int = 5
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    eviction_memory_available: int = 100 * 1024 * 1024
    eviction_nodefs_available: float = 0.10
    lease_seconds: int = 40
    lease_renewal_seconds: float = 10.0
    status_report_seconds: float = 300.0

    @property
    def pods_dir(self) -> Path:
        """Where each pod has a directory by its UID."""
        return self.root_dir / "pods"

    @property
    def logs_dir(self) -> Path:
        """Where each pod has a log directory ``NAMESPACE_NAME_UID``."""
        return self.log_dir or self.root_dir / "logs"
