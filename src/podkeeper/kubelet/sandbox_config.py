"""A pod's sandbox as the runtime is told to build it."""

from __future__ import annotations

from podkeeper.api.core import v1
from podkeeper.kubelet import labels
from podkeeper.kubelet.dns import DNSSettings, PodDNS, pod_dns, sandbox_hostname
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_files import log_dir
from podkeeper.kubelet.pods import uses_host_network
from podkeeper.kubelet.resources import pod_resources
from podkeeper.kubelet.security import sandbox_security
from podkeeper.runtime.cri import SandboxConfig
from podkeeper.runtime.podnetwork import PortMapping

SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)


def build_sandbox_config(parts: KubeletParts, pod: v1.Pod, attempt: int, cgroup: str) -> tuple[SandboxConfig, PodDNS]:
    """The config and the resolver's warnings. Raises HostnameTooLong or OSError."""
    config, meta = parts.config, pod.metadata
    dns = pod_dns(pod, DNSSettings(config.cluster_dns, config.cluster_domain, config.resolv_conf))
    directory = log_dir(config, pod)
    directory.mkdir(parents=True, exist_ok=True)
    context = pod.spec.security_context
    sandbox = SandboxConfig(
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        attempt=attempt,
        hostname=sandbox_hostname(pod, config.cluster_domain, config.hostname or config.node_name),
        log_directory=str(directory),
        dns=dns.config,
        port_mappings=port_mappings(pod),
        labels=labels.sandbox_labels(pod),
        annotations=dict(meta.annotations),
        cgroup_parent=cgroup,
        security=sandbox_security(pod),
        sysctls={each.name.replace("/", "."): each.value for each in context.sysctls} if context else {},
        resources=pod_resources(pod),
    )
    return sandbox, dns


def port_mappings(pod: v1.Pod) -> tuple[PortMapping, ...]:
    """The hostPorts of a pod with its own network; sidecars' count too."""
    if uses_host_network(pod):
        return ()
    ports = (port for each in (*pod.spec.init_containers, *pod.spec.containers) for port in each.ports)
    return tuple(
        PortMapping(port.container_port, port.host_port, port.protocol or "TCP", port.host_ip)
        for port in ports
        if port.host_port
    )
