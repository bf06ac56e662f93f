"""A pod's host name and resolver: dnsPolicy, dnsConfig, hostname, subdomain.

https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.kubelet.pods import format_pod, uses_host_network
from podkeeper.runtime.cri import DNSConfig

MAX_SERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048
MAX_HOSTNAME = 63


class HostnameTooLong(ValueError):
    """setHostnameAsFQDN with a name beyond what the kernel takes."""


class DNSSettings(Struct, frozen=True):
    """The node's side: the cluster's DNS and the node's own resolv.conf."""

    cluster_dns: tuple[str, ...]
    cluster_domain: str
    resolv_conf: Path


class PodDNS(Struct, frozen=True):
    """What the sandbox gets, and a warning (event MissingClusterDNS or DNSConfigForming) where something was bent."""

    config: DNSConfig
    warnings: tuple[tuple[str, str], ...] = ()


class _Resolver(Struct):
    servers: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def pod_dns(pod: v1.Pod, settings: DNSSettings) -> PodDNS:
    """The resolver of a pod. Raises OSError when the node's resolv.conf cannot be read."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    warnings: list[tuple[str, str]] = []
    resolver = _Resolver()
    if policy == "ClusterFirst" and uses_host_network(pod):
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        if settings.cluster_dns:
            resolver = _cluster(pod, settings)
        else:
            warnings.append(("MissingClusterDNS", _missing_dns(pod, policy)))
            policy = "Default"
    if policy == "Default":
        resolver = read_resolv_conf(settings.resolv_conf)
    _add(resolver, pod.spec.dns_config)
    warnings += _limit(resolver)
    return PodDNS(
        DNSConfig(tuple(resolver.servers), tuple(resolver.searches), tuple(resolver.options)), tuple(warnings)
    )


def _missing_dns(pod: v1.Pod, policy: str) -> str:
    return (
        f'pod: "{format_pod(pod)}". kubelet does not have ClusterDNS IP configured and cannot create Pod using '
        f'"{policy}" policy. Falling back to "Default" policy.'
    )


def _cluster(pod: v1.Pod, settings: DNSSettings) -> _Resolver:
    domain, host = settings.cluster_domain, read_resolv_conf(settings.resolv_conf)
    own = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain] if domain else []
    return _Resolver(list(settings.cluster_dns), _unique([*own, *host.searches]), ["ndots:5"])


def read_resolv_conf(path: Path) -> _Resolver:
    """Name servers, search list and options of a resolv.conf; a missing file means none."""
    resolver = _Resolver()
    if not path.exists():
        return resolver
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and len(words) > 1:
            resolver.servers.append(words[1])
        elif words[0] == "search":
            resolver.searches = [word if word == "." else word.removesuffix(".") for word in words[1:]]
        elif words[0] == "options":
            resolver.options = words[1:]
    return resolver


def _add(resolver: _Resolver, extra: v1.PodDNSConfig | None) -> None:
    if extra is None:
        return
    resolver.servers = _unique([*resolver.servers, *extra.nameservers])
    resolver.searches = _unique([*resolver.searches, *extra.searches])
    merged = dict(option.partition(":")[::2] for option in resolver.options)
    merged |= {option.name: option.value or "" for option in extra.options}
    resolver.options = [f"{name}:{value}" if value else name for name, value in merged.items()]


def _limit(resolver: _Resolver) -> list[tuple[str, str]]:
    """Cuts to what resolvers take, with a warning for each cut."""
    warnings: list[tuple[str, str]] = []
    if len(resolver.servers) > MAX_SERVERS:
        resolver.servers = resolver.servers[:MAX_SERVERS]
        applied = " ".join(resolver.servers)
        text = (
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {applied}"
        )
        warnings.append(("DNSConfigForming", text))
    kept = resolver.searches[:MAX_SEARCHES]
    while len(" ".join(kept)) > MAX_SEARCH_CHARACTERS:
        kept.pop()
    if len(kept) < len(resolver.searches):
        resolver.searches = kept
        text = (
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(kept)}"
        )
        warnings.append(("DNSConfigForming", text))
    return warnings


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def host_and_domain(pod: v1.Pod, cluster_domain: str) -> tuple[str, str]:
    """The pod's host name, cut to 63 characters, and its domain if it has a subdomain."""
    if pod.spec.hostname_override:
        return pod.spec.hostname_override, ""
    name = pod.spec.hostname or pod.metadata.name[:MAX_HOSTNAME].rstrip("-.")
    if not pod.spec.subdomain:
        return name, ""
    return name, f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"


def sandbox_hostname(pod: v1.Pod, cluster_domain: str, node_hostname: str) -> str:
    """What ``hostname`` prints: the node's in hostNetwork pods, the full name with setHostnameAsFQDN."""
    if uses_host_network(pod) and not pod.spec.hostname_override:
        return node_hostname
    host, domain = host_and_domain(pod, cluster_domain)
    if not pod.spec.set_hostname_as_fqdn or not domain:
        return host
    full = f"{host}.{domain}"
    if len(full) > MAX_HOSTNAME:
        raise HostnameTooLong(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({MAX_HOSTNAME} characters is the max, {len(full)} characters requested)"
        )
    return full
