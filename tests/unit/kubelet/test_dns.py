"""Resolver, host name and hosts file of a pod."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from podkeeper.api.core import v1
from podkeeper.kubelet.dns import DNSSettings, HostnameTooLong, host_and_domain, pod_dns, sandbox_hostname
from podkeeper.kubelet.hosts_file import hosts_content

Make = Callable[..., v1.Pod]


@pytest.fixture
def node_resolver(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text("# mine\nnameserver 192.0.2.53\nsearch example.org corp.\noptions ndots:2 rotate\n")
    return path


def settings(path: Path, *servers: str) -> DNSSettings:
    return DNSSettings(servers, "cluster.local", path)


def test_cluster_first_asks_the_cluster_then_the_nodes_domains(make_pod: Make, node_resolver: Path) -> None:
    found = pod_dns(make_pod(dns_policy="ClusterFirst"), settings(node_resolver, "10.96.0.10")).config
    assert found.servers == ("10.96.0.10",)
    assert found.searches == ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.org", "corp")
    assert found.options == ("ndots:5",)


def test_without_a_cluster_dns_the_nodes_is_used_and_that_is_told(make_pod: Make, node_resolver: Path) -> None:
    found = pod_dns(make_pod(dns_policy="ClusterFirst"), settings(node_resolver))
    assert found.config.servers == ("192.0.2.53",)
    assert found.warnings == (
        (
            "MissingClusterDNS",
            'pod: "web_default(uid-of-web)". kubelet does not have ClusterDNS IP configured and cannot create Pod '
            'using "ClusterFirst" policy. Falling back to "Default" policy.',
        ),
    )


def test_host_network_pods_keep_the_nodes_resolver_unless_they_say_so(make_pod: Make, node_resolver: Path) -> None:
    known = settings(node_resolver, "10.96.0.10")
    plain = pod_dns(make_pod(dns_policy="ClusterFirst", host_network=True), known).config
    assert plain.servers == ("192.0.2.53",)
    asked = pod_dns(make_pod(dns_policy="ClusterFirstWithHostNet", host_network=True), known).config
    assert asked.servers == ("10.96.0.10",)


def test_a_pods_own_settings_come_on_top(make_pod: Make, node_resolver: Path) -> None:
    own = v1.PodDNSConfig(
        nameservers=("192.0.2.1", "192.0.2.53"),
        searches=("own.org",),
        options=(v1.PodDNSConfigOption(name="ndots", value="1"), v1.PodDNSConfigOption(name="edns0")),
    )
    merged = pod_dns(make_pod(dns_policy="Default", dns_config=own), settings(node_resolver)).config
    assert merged.servers == ("192.0.2.53", "192.0.2.1")
    assert merged.searches == ("example.org", "corp", "own.org")
    assert merged.options == ("ndots:1", "rotate", "edns0")
    alone = pod_dns(make_pod(dns_policy="None", dns_config=own), settings(node_resolver)).config
    assert alone.servers == ("192.0.2.1", "192.0.2.53")


def test_what_resolvers_do_not_take_is_cut_and_told(make_pod: Make, node_resolver: Path) -> None:
    own = v1.PodDNSConfig(nameservers=tuple(f"192.0.2.{number}" for number in range(5)))
    found = pod_dns(make_pod(dns_policy="None", dns_config=own), settings(node_resolver))
    assert len(found.config.servers) == 3
    assert found.warnings[0][0] == "DNSConfigForming"


def test_host_names(make_pod: Make) -> None:
    assert host_and_domain(make_pod("a" * 62 + "-.b"), "cluster.local")[0] == "a" * 62
    pod = make_pod(hostname="db", subdomain="shop")
    assert host_and_domain(pod, "cluster.local") == ("db", "shop.default.svc.cluster.local")
    assert sandbox_hostname(pod, "cluster.local", "node") == "db"
    full = make_pod(hostname="db", subdomain="shop", set_hostname_as_fqdn=True)
    assert sandbox_hostname(full, "cluster.local", "node") == "db.shop.default.svc.cluster.local"
    assert sandbox_hostname(make_pod(host_network=True), "cluster.local", "node") == "node"
    with pytest.raises(HostnameTooLong, match="is too long"):
        sandbox_hostname(make_pod("a" * 60, subdomain="shop", set_hostname_as_fqdn=True), "cluster.local", "node")


def test_the_hosts_file_names_the_pod_and_its_aliases(make_pod: Make) -> None:
    pod = make_pod(
        hostname="db", subdomain="shop", host_aliases=(v1.HostAlias(ip="192.0.2.9", hostnames=("one", "two")),)
    )
    text = hosts_content(pod, ("10.0.0.2", "fd00::2"), "cluster.local", "")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.2\tdb.shop.default.svc.cluster.local\tdb\n" in text
    assert "fd00::2\tdb.shop.default.svc.cluster.local\tdb\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n192.0.2.9\tone\ttwo\n")
    host = hosts_content(make_pod(host_network=True), ("192.0.2.1",), "cluster.local", "127.0.0.1 me\n")
    assert host == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n"
