"""Services' endpoints in both forms, from pods and from hand-made objects, against a real server."""

from __future__ import annotations

from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.discovery import v1 as discovery
from podkeeper.controllers.endpoint_mirroring import EndpointMirroring
from podkeeper.controllers.endpoint_slices import EndpointSlices
from podkeeper.controllers.endpoint_subsets import truncated
from podkeeper.controllers.endpoints import EndpointsObjects

PORTS = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "dns", "port": 53, "protocol": "UDP"}]


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    wanted = {"selector": {"app": "web"}, "ports": PORTS} | spec
    metadata = {"name": name, "labels": {"team": "red"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": wanted}


async def add_pod(house: Any, name: str, address: str, *, ready: bool = True, **spec: Any) -> v1.Pod:
    container = {"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": 8080}]}
    pod: v1.Pod = await house.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"containers": [container], "nodeName": "n", "terminationGracePeriodSeconds": 30} | spec,
        }
    )
    await house.report(name, address, ready=ready)
    return pod


async def ground(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    zone = {"topology.kubernetes.io/zone": "east"}
    await house.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": zone}})


def ours(found: list[Any], name: str = "web") -> list[Any]:
    return [each for each in found if each.metadata.labels.get("kubernetes.io/service-name") == name]


async def test_a_slice_tells_of_pods_as_they_come_get_ready_and_go(house: Any) -> None:
    await ground(house)
    house.start(EndpointSlices)
    made = await house.create(service())
    [empty] = ours(await house.until(discovery.EndpointSlice, ours))
    assert (empty.endpoints, empty.ports, empty.metadata.owner_references[0].uid) == ((), (), made.metadata.uid)
    pod = await add_pod(house, "a", "10.0.0.1", ready=False, hostname="first", subdomain="web")
    [shown] = ours(await house.until(discovery.EndpointSlice, lambda found: ours(found) and ours(found)[0].endpoints))
    assert shown.metadata.name == empty.metadata.name
    assert shown.metadata.labels == {
        "team": "red",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert [(each.name, each.port, each.protocol) for each in shown.ports] == [
        ("http", 8080, "TCP"),
        ("dns", 53, "UDP"),
    ]
    [one] = shown.endpoints
    assert (one.addresses, one.hostname, one.node_name, one.zone) == (("10.0.0.1",), "first", "n", "east")
    assert one.target_ref == v1.ObjectReference(kind="Pod", namespace="default", name="a", uid=pod.metadata.uid)
    assert one.conditions == discovery.EndpointConditions(ready=False, serving=False, terminating=False)
    await house.report("a", "10.0.0.1")
    await house.until(discovery.EndpointSlice, lambda found: ours(found)[0].endpoints[0].conditions.ready)
    await house.api.of(v1.Pod).delete("a", "default")
    [going] = ours(
        await house.until(discovery.EndpointSlice, lambda found: ours(found)[0].endpoints[0].conditions.terminating)
    )
    assert going.endpoints[0].conditions == discovery.EndpointConditions(ready=False, serving=True, terminating=True)
    await house.api.of(v1.Pod).delete("a", "default", grace_period=0)
    await house.until(discovery.EndpointSlice, lambda found: not ours(found)[0].endpoints)


async def test_unready_pods_are_published_where_the_service_says_so_and_hints_name_the_zone(house: Any) -> None:
    await ground(house)
    house.start(EndpointSlices)
    await add_pod(house, "a", "10.0.0.1", ready=False)
    await house.create(
        service(publishNotReadyAddresses=True, trafficDistribution="PreferClose", clusterIP="None", ports=[])
    )
    [shown] = ours(await house.until(discovery.EndpointSlice, lambda found: ours(found) and ours(found)[0].endpoints))
    [one] = shown.endpoints
    assert one.conditions == discovery.EndpointConditions(ready=True, serving=False, terminating=False)
    assert one.hints == discovery.EndpointHints(for_zones=(discovery.ForZone(name="east"),))
    assert shown.metadata.labels["service.kubernetes.io/headless"] == ""


async def test_endpoints_have_ready_addresses_apart_and_go_with_their_service(house: Any) -> None:
    await ground(house)
    house.start(EndpointsObjects)
    await add_pod(house, "a", "10.0.0.2")
    await add_pod(house, "b", "10.0.0.1")
    await add_pod(house, "c", "10.0.0.3", ready=False)
    await house.create(service())
    done = await house.until(
        v1.Endpoints,
        lambda found: [each for each in found if each.metadata.name == "web" and each.subsets],
    )
    [shown] = [each for each in done if each.metadata.name == "web"]
    [subset] = shown.subsets
    assert [each.ip for each in subset.addresses] == ["10.0.0.1", "10.0.0.2"]
    assert [each.ip for each in subset.not_ready_addresses] == ["10.0.0.3"]
    assert [(each.name, each.port) for each in subset.ports] == [("dns", 53), ("http", 8080)]
    assert shown.metadata.labels == {"team": "red", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    await house.api.of(v1.Service).delete("web", "default")
    await house.until(v1.Endpoints, lambda found: all(each.metadata.name != "web" for each in found))


def test_endpoints_end_at_a_thousand_addresses_and_ready_ones_come_first() -> None:
    def many(count: int, third: int) -> tuple[v1.EndpointAddress, ...]:
        return tuple(v1.EndpointAddress(ip=f"10.{third}.{each // 250}.{each % 250}") for each in range(count))

    assert truncated([v1.EndpointSubset(addresses=many(1000, 0))]) is None
    cut = truncated([v1.EndpointSubset(addresses=many(600, 0), not_ready_addresses=many(600, 1))])
    assert cut is not None
    assert [(len(each.addresses), len(each.not_ready_addresses)) for each in cut] == [(600, 400)]


async def test_hand_made_endpoints_get_slices_until_they_are_not_to_be_mirrored(house: Any) -> None:
    house.start(EndpointMirroring)
    await house.create(service(selector=None))
    subset = {"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "ports": [{"name": "http", "port": 90}]}
    await house.create({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}, "subsets": [subset]})
    found = ours(await house.until(discovery.EndpointSlice, lambda found: len(ours(found)) == 2))
    assert {(each.address_type, each.endpoints[0].addresses) for each in found} == {
        ("IPv4", ("192.0.2.1",)),
        ("IPv6", ("2001:db8::1",)),
    }
    skip = {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}}
    await house.api.of(v1.Endpoints).patch("web", skip, "default")
    await house.until(discovery.EndpointSlice, lambda found: not ours(found))
