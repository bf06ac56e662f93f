"""The /etc/hosts that the kubelet keeps for a pod: its own names and its hostAliases.

https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.dns import host_and_domain
from podkeeper.kubelet.pods import uses_host_network

MARK = "# Kubernetes-managed hosts file"
LOOPBACK = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hosts_content(pod: v1.Pod, pod_ips: Sequence[str], cluster_domain: str, node_hosts: str) -> str:
    """The file's text; a hostNetwork pod's begins with the node's own."""
    if uses_host_network(pod):
        return f"{MARK} (host network).\n{node_hosts}{_aliases(pod.spec.host_aliases)}"
    host, domain = host_and_domain(pod, cluster_domain)
    names = f"{host}.{domain}\t{host}" if domain else host
    own = "".join(f"{address}\t{names}\n" for address in pod_ips)
    return f"{MARK}.\n{LOOPBACK}{own}{_aliases(pod.spec.host_aliases)}"


def _aliases(aliases: Sequence[v1.HostAlias]) -> str:
    if not aliases:
        return ""
    lines = "".join(f"{alias.ip}\t{chr(9).join(alias.hostnames)}\n" for alias in aliases)
    return f"\n# Entries added by HostAliases.\n{lines}"


def write_hosts_file(path: Path, pod: v1.Pod, pod_ips: Sequence[str], cluster_domain: str) -> Path:
    """Writes the pod's hosts file in place, so that a file that is mounted already changes with it."""
    node_hosts = ""
    if uses_host_network(pod):
        node_hosts = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(hosts_content(pod, pod_ips, cluster_domain, node_hosts), encoding="utf-8")
    path.chmod(0o644)
    return path
