"""Addresses and node ports of Services."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.errors import ApiError
from podkeeper.registry.allocation.addresses import AddressError, AddressPool
from podkeeper.registry.allocation.ports import PortError, PortPool
from podkeeper.registry.assembly import RegistryConfig, open_registry
from podkeeper.registry.verbs import DeleteOptions

Tree = dict[str, Any]


def service(name: str, **spec: Any) -> Tree:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}, **spec}}


class TestPools:
    @given(st.integers(0, 2**32))
    def test_every_address_is_given_once(self, seed: int) -> None:
        pool = AddressPool("10.0.0.0/28", Random(seed))
        given_out = [pool.take_any() for _ in range(14)]
        assert len(set(given_out)) == 14
        assert not {"10.0.0.0", "10.0.0.15"} & set(given_out)
        with pytest.raises(AddressError, match="range is full"):
            pool.take_any()
        pool.give_back(given_out[3])
        assert pool.take_any() == given_out[3]

    def test_the_static_band_is_used_last(self) -> None:
        pool = AddressPool("10.0.0.0/24", Random(1))
        first = [pool.take_any() for _ in range(238)]
        assert all(int(address.rpartition(".")[2]) > 16 for address in first)
        assert int(pool.take_any().rpartition(".")[2]) <= 16

    def test_one_address_is_taken_once(self) -> None:
        pool = AddressPool("10.0.0.0/24")
        pool.take("10.0.0.7")
        with pytest.raises(AddressError, match="provided IP is already allocated"):
            pool.take("10.0.0.7")
        with pytest.raises(AddressError, match=r"the provided IP \(10.0.1.7\) is not in the valid range"):
            pool.take("10.0.1.7")
        with pytest.raises(AddressError, match="not in the valid range"):
            pool.take("fd00::1")

    def test_ipv6(self) -> None:
        pool = AddressPool("fd00::/112", Random(1))
        assert pool.version == 6
        assert pool.contains(pool.take_any())

    @given(st.integers(0, 2**32))
    def test_every_port_is_given_once(self, seed: int) -> None:
        pool = PortPool(30000, 30063, Random(seed))
        assert sorted(pool.take_any() for _ in range(64)) == list(range(30000, 30064))
        with pytest.raises(PortError, match="range is full"):
            pool.take_any()
        pool.give_back(30007)
        with pytest.raises(PortError, match="already allocated"):
            pool.take(30008)
        pool.take(30007)
        with pytest.raises(PortError, match="The range of valid ports is 30000-30063"):
            pool.take(80)


class TestServices:
    async def test_a_plain_service_gets_an_address(self, shop: Any) -> None:
        spec = (await shop.create("services", service("s")))["spec"]
        assert spec["clusterIP"].startswith("10.96.0.")
        assert spec["clusterIPs"] == [spec["clusterIP"]]
        assert (spec["ipFamilies"], spec["ipFamilyPolicy"], spec["type"]) == (["IPv4"], "SingleStack", "ClusterIP")

    async def test_a_taken_address_is_refused_and_a_free_one_kept(self, shop: Any) -> None:
        await shop.create("services", service("s", clusterIP="10.96.0.9"))
        with pytest.raises(ApiError) as caught:
            await shop.create("services", service("t", clusterIP="10.96.0.9"))
        assert caught.value.code == 422
        assert caught.value.message == (
            'Service "t" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.9"]: '
            "failed to allocate IP 10.96.0.9: provided IP is already allocated"
        )
        await shop.of("services").delete(shop.context, "default", "s", DeleteOptions())
        await shop.create("services", service("t", clusterIP="10.96.0.9"))

    async def test_what_fails_later_gives_back_what_it_took(self, shop: Any) -> None:
        ports = [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 9}]
        for _ in range(20):
            with pytest.raises(ApiError):
                await shop.create("services", service("s", type="NodePort", ports=ports))
        made = await shop.create("services", service("s", type="NodePort", ports=ports[:1]))
        assert made["spec"]["ports"][0]["nodePort"] == 30001
        for _ in range(20):
            with pytest.raises(ApiError, match="already exists"):
                await shop.create("services", service("s", type="NodePort"))

    async def test_a_dry_run_takes_nothing(self, shop: Any) -> None:
        shop.context.dry_run = True
        for _ in range(5):
            await shop.create("services", service("s", type="NodePort", clusterIP="10.96.0.9"))

    async def test_node_ports(self, shop: Any) -> None:
        ports = [
            {"name": "t", "port": 53, "protocol": "TCP"},
            {"name": "u", "port": 53, "protocol": "UDP"},
            {"name": "h", "port": 80},
        ]
        made = (await shop.create("services", service("s", type="NodePort", ports=ports)))["spec"]["ports"]
        assert made[0]["nodePort"] == made[1]["nodePort"] != made[2]["nodePort"]
        with pytest.raises(ApiError) as caught:
            await shop.create("services", service("t", type="NodePort", ports=[{"port": 1, "nodePort": 80}]))
        assert caught.value.causes[0].field == "spec.ports[0].nodePort"
        assert "provided port is not in the valid range" in caught.value.message

    async def test_an_update_keeps_what_it_does_not_name(self, shop: Any) -> None:
        made = await shop.create("services", service("s", type="NodePort"))
        item, _ = await shop.of("services").update(shop.context, "default", "s", service("s", type="NodePort"))
        assert item.tree()["spec"] == made["spec"]

    async def test_another_type_gives_ports_back(self, shop: Any) -> None:
        body = service("s", type="NodePort", ports=[{"port": 80, "nodePort": 30002}])
        await shop.create("services", body)
        changed = await shop.patch("services", "s", {"spec": {"type": "ClusterIP"}})
        assert "nodePort" not in changed["spec"]["ports"][0]
        await shop.create("services", service("t", type="NodePort", ports=[{"port": 80, "nodePort": 30002}]))

    @pytest.mark.parametrize(
        ("before", "after", "gone"),
        [
            ({"type": "NodePort"}, {"type": "ClusterIP"}, {"externalTrafficPolicy"}),
            ({"externalIPs": ["192.0.2.1"]}, {"externalIPs": None}, {"externalTrafficPolicy"}),
            (
                {"type": "LoadBalancer", "loadBalancerClass": "example.com/c"},
                {"type": "NodePort"},
                {"allocateLoadBalancerNodePorts", "loadBalancerClass"},
            ),
            (
                {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
                {"externalTrafficPolicy": "Cluster"},
                {"healthCheckNodePort"},
            ),
            (
                {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
                {"type": "ClusterIP"},
                {"allocateLoadBalancerNodePorts", "externalTrafficPolicy", "healthCheckNodePort"},
            ),
            (
                {},
                {"type": "ExternalName", "externalName": "example.com"},
                {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"},
            ),
            (
                {"clusterIP": "None"},
                {"type": "ExternalName", "externalName": "example.com"},
                {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"},
            ),
        ],
    )
    async def test_what_the_new_type_has_not_goes(self, shop: Any, before: Tree, after: Tree, gone: set[str]) -> None:
        made = (await shop.create("services", service("s", **before)))["spec"]
        changed = (await shop.patch("services", "s", {"spec": after}))["spec"]
        assert gone == set(made) - set(changed) - {name for name, value in after.items() if value is None}

    async def test_an_external_name_has_no_address(self, shop: Any) -> None:
        made = await shop.create("services", service("s", type="ExternalName", externalName="example.com"))
        assert not {"clusterIP", "clusterIPs", "ipFamilies"} & made["spec"].keys()

    async def test_headless(self, shop: Any) -> None:
        made = await shop.create("services", service("s", clusterIP="None"))
        assert (made["spec"]["clusterIPs"], made["spec"]["ipFamilies"]) == (["None"], ["IPv4"])

    async def test_two_stacks_are_refused_where_there_is_one(self, shop: Any) -> None:
        with pytest.raises(ApiError, match="this cluster is not configured for dual-stack services"):
            await shop.create("services", service("s", ipFamilyPolicy="RequireDualStack"))

    async def test_what_is_taken_is_known_after_a_restart(self, shop: Any) -> None:
        await shop.create("services", service("s", clusterIP="10.96.0.9"))
        again = await open_registry(
            shop.store, shop.registry._backing.admission, shop.clock, RegistryConfig("10.96.0.0/28")
        )
        verbs = again.verbs("", "v1", "services")
        assert verbs is not None
        with pytest.raises(ApiError, match="provided IP is already allocated"):
            await verbs.create(shop.context, "default", service("t", clusterIP="10.96.0.9"))
