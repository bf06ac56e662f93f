"""The service network and its addresses as objects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podkeeper.apiserver.service_addresses import address_object, addresses_of, is_stale

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
SERVICES = "/api/v1/namespaces/default/services"


async def watched(api: Any, name: str, kind: str) -> dict[str, Any]:
    """The next event of that type of one address, the present state included."""
    async with asyncio.timeout(10):
        while True:
            tree = (await api("GET", f"{ADDRESSES}/{name}")).tree
            if (tree["kind"] == "IPAddress") is (kind == "ADDED"):
                return dict(tree)
            version = (await api("GET", ADDRESSES)).tree["metadata"]["resourceVersion"]
            query = f"watch=1&resourceVersion={version}&timeoutSeconds=1&fieldSelector=metadata.name%3D{name}"
            await api("GET", f"{ADDRESSES}?{query}")


async def test_a_cluster_begins_with_its_service_network(api: Any) -> None:
    network = (await api("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")).tree
    assert network["spec"] == {"cidrs": [api.server.config.service_cidr]}
    (condition,) = network["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("Ready", "True")
    assert condition["message"] == "Kubernetes default Service CIDR is ready"
    own = await watched(api, "10.96.0.1", "ADDED")
    assert own["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "kubernetes"}


async def test_an_address_lives_as_long_as_its_service(api: Any) -> None:
    made = (await api("POST", SERVICES, {"metadata": {"name": "shown"}, "spec": {"ports": [{"port": 80}]}})).tree
    address = made["spec"]["clusterIP"]
    shown = await watched(api, address, "ADDED")
    assert shown["metadata"]["labels"] == {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    await api("DELETE", f"{ADDRESSES}/{address}")
    await watched(api, address, "ADDED")
    await api("DELETE", f"{SERVICES}/shown")
    await watched(api, address, "DELETED")


async def test_only_own_objects_are_stale() -> None:
    own = address_object("fd00::1", ("default", "web"))
    assert own["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == "IPv6"
    assert not is_stale(own, ("default", "web"))
    assert is_stale(own, ("default", "other"))
    assert is_stale(own, None)
    assert not is_stale({"metadata": {}, "spec": own["spec"]}, None)


async def test_headless_services_have_no_address() -> None:
    assert addresses_of({"spec": {"clusterIPs": ["None"]}}) == ()
    assert addresses_of({"spec": {"type": "ExternalName"}}) == ()
    assert addresses_of({"spec": {"clusterIPs": ["10.0.0.1", "FD00:0::1"]}}) == ("10.0.0.1", "fd00::1")
