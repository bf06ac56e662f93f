"""What a service's slices must say: families, ports, conditions, places."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.core import v1
from podkeeper.api.discovery import v1 as discovery
from podkeeper.api.meta import v1 as meta
from podkeeper.client.identity import ObjectKey
from podkeeper.client.informer import Lister
from podkeeper.controllers.endpoint_subsets import subsets
from podkeeper.controllers.framework import Key
from podkeeper.controllers.service_pods import is_listed, services_of, target_port, trigger_time
from podkeeper.controllers.slice_contents import contents


def service(**spec: Any) -> v1.Service:
    ports = (v1.ServicePort(name="http", port=80, target_port="web", protocol="TCP", app_protocol="h2c"),)
    wanted = {"selector": {"app": "web"}, "ports": ports, "cluster_ip": "10.96.0.9"} | spec
    return v1.Service(metadata=meta.ObjectMeta(name="s", namespace="n"), spec=v1.ServiceSpec(**wanted))


def pod(name: str = "p", *addresses: str, port: str = "web", number: int = 8080, **metadata: Any) -> v1.Pod:
    container = v1.Container(name="c", ports=(v1.ContainerPort(name=port, container_port=number, protocol="TCP"),))
    shown = addresses or ("10.0.0.1",)
    return v1.Pod(
        metadata=meta.ObjectMeta(name=name, namespace="n", labels={"app": "web"}, **metadata),
        spec=v1.PodSpec(containers=(container,), node_name="node"),
        status=v1.PodStatus(
            phase="Running",
            pod_ip=shown[0],
            pod_ips=tuple(v1.PodIP(ip=each) for each in shown),
            conditions=(v1.PodCondition(type="Ready", status="True", last_transition_time="2026-01-02T00:00:00Z"),),
        ),
    )


def node(name: str) -> v1.Node | None:
    return v1.Node(metadata=meta.ObjectMeta(name=name, labels={"topology.kubernetes.io/zone": "east"}))


def test_both_families_have_slices_of_their_own() -> None:
    found = contents(service(ip_families=("IPv6", "IPv4")), [pod("p", "10.0.0.1", "fd00::1")], node)
    assert {(family, each[0].addresses) for (family, _), each in found.items()} == {
        ("IPv4", ("10.0.0.1",)),
        ("IPv6", ("fd00::1",)),
    }
    one = contents(service(ip_families=("IPv4",)), [pod("p", "10.0.0.1", "fd00::1")], node)
    assert [family for family, _ in one] == ["IPv4"]


def test_pods_whose_named_port_differs_are_in_different_slices() -> None:
    found = contents(service(), [pod("a"), pod("b", "10.0.0.2", number=9090), pod("c", "10.0.0.3", port="x")], node)
    shown = {tuple((port.port, port.app_protocol) for port in ports): len(each) for (_, ports), each in found.items()}
    assert shown == {((8080, "h2c"),): 1, ((9090, "h2c"),): 1, (): 1}


def test_a_headless_service_lists_pods_without_the_port() -> None:
    headless = service(cluster_ip="None", ports=())
    assert [(ports, len(each)) for (_, ports), each in contents(headless, [pod()], node).items()] == [((), 1)]
    assert [len(each.addresses) for each in subsets(headless, [pod()])] == [1]
    assert subsets(service(cluster_ip="None"), [pod(port="x")]) == ()


def test_a_pod_waits_for_its_node_unless_unready_ones_are_published() -> None:
    assert contents(service(), [pod()], lambda name: None) == {}
    early = contents(service(publish_not_ready_addresses=True), [pod()], lambda name: None)
    assert [each.zone for listed in early.values() for each in listed] == [""]


@pytest.mark.parametrize(
    ("distribution", "hints"),
    [
        ("", None),
        ("PreferSameZone", discovery.EndpointHints(for_zones=(discovery.ForZone(name="east"),))),
        (
            "PreferSameNode",
            discovery.EndpointHints(
                for_zones=(discovery.ForZone(name="east"),), for_nodes=(discovery.ForNode(name="node"),)
            ),
        ),
    ],
)
def test_hints(distribution: str, hints: discovery.EndpointHints | None) -> None:
    [[one]] = contents(service(traffic_distribution=distribution), [pod()], node).values()
    assert (one.hints, one.zone) == (hints, "east")


def test_pods_that_cannot_be_endpoints() -> None:
    over = v1.Pod(status=v1.PodStatus(phase="Failed", pod_ip="10.0.0.1"))
    going = pod(deletion_timestamp="2026-01-01T00:00:00Z")
    assert [is_listed(each, terminating=True) for each in (over, v1.Pod(), going)] == [False, False, True]
    assert not is_listed(going, terminating=False)


def test_a_sidecars_port_counts_and_another_init_containers_does_not() -> None:
    port = v1.ServicePort(name="a", port=1, target_port="in")
    named = (v1.ContainerPort(name="in", container_port=7),)
    sidecar = v1.Container(name="s", restart_policy="Always", ports=named)
    first = v1.Container(name="s", ports=named)
    assert target_port(v1.Pod(spec=v1.PodSpec(init_containers=(sidecar,))), port) == 7
    assert target_port(v1.Pod(spec=v1.PodSpec(init_containers=(first,))), port) is None
    assert target_port(v1.Pod(), v1.ServicePort(port=80)) == 80


def test_endpoints_have_the_first_family_alone() -> None:
    [one] = subsets(service(ip_families=("IPv6", "IPv4")), [pod("p", "10.0.0.1", "fd00::1")])
    assert [each.ip for each in one.addresses] == ["fd00::1"]


def test_the_newest_change_is_told() -> None:
    assert trigger_time(service(), [pod(), v1.Pod()]) == "2026-01-02T00:00:00Z"


def test_services_that_select_what_a_pod_was_or_is() -> None:
    services: Lister[v1.Service] = Lister()
    for name, selector in (("a", {"app": "web"}), ("b", {"app": "db"}), ("c", {})):
        each = v1.Service(metadata=meta.ObjectMeta(name=name, namespace="n"), spec=v1.ServiceSpec(selector=selector))
        services.put(ObjectKey("n", name), each)
    moved = v1.Pod(metadata=meta.ObjectMeta(name="p", namespace="n", labels={"app": "db"}))
    assert services_of(services, pod(), moved) == {Key("n", "a"), Key("n", "b")}
