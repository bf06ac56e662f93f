"""Resource quotas over a whole API server: exact also when everybody comes at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def make_namespace(api: Any, name: str, **hard: str) -> str:
    path = f"/api/v1/namespaces/{name}"
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    await api("POST", f"{path}/serviceaccounts", {"metadata": {"name": "default"}})
    limits = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    quota = {"metadata": {"name": "q"}, "spec": {"hard": limits}}
    assert (await api("POST", f"{path}/resourcequotas", quota)).status == 201
    return path


async def test_many_at_once_never_exceed_a_quota(api: Any, make_pod: Any) -> None:
    path = await make_namespace(api, "crowded", pods="5")
    replies = await asyncio.gather(*(api("POST", f"{path}/pods", make_pod(f"p{number}")) for number in range(20)))
    assert sorted(reply.status for reply in replies) == [201] * 5 + [403] * 15
    refused = next(reply for reply in replies if reply.status == 403)
    assert refused.message.endswith("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5")
    made = next(reply for reply in replies if reply.status == 201).tree["metadata"]["name"]
    await api("DELETE", f"{path}/pods/{made}?gracePeriodSeconds=0")
    assert (await api("POST", f"{path}/pods", make_pod("again"))).status == 201


async def test_a_write_that_is_refused_otherwise_takes_no_place_for_long(api: Any, make_config_map: Any) -> None:
    path = await make_namespace(api, "narrow", configmaps="1")
    assert (await api("POST", f"{path}/configmaps", make_config_map("Bad_Name"))).status == 422
    assert (await api("POST", f"{path}/configmaps?dryRun=All", make_config_map("dry"))).status == 201
    assert (await api("POST", f"{path}/configmaps", make_config_map("good"))).status == 201
    assert (await api("POST", f"{path}/configmaps", make_config_map("good"))).status == 409
    assert (await api("POST", f"{path}/configmaps", make_config_map("more"))).status == 403


async def test_compute_is_counted_and_must_be_stated(api: Any, make_pod: Any) -> None:
    path = await make_namespace(api, "computing", requests_cpu="500m", limits_memory="1Gi")
    silent = await api("POST", f"{path}/pods", make_pod("silent"))
    assert silent.message == (
        'pods "silent" is forbidden: failed quota: q: must specify limits.memory for: main; requests.cpu for: main'
    )

    def asking(name: str, cpu: str) -> Any:
        tree = make_pod(name)
        resources = {"requests": {"cpu": cpu, "memory": "1Mi"}, "limits": {"memory": "256Mi"}}
        tree["spec"]["containers"][0]["resources"] = resources
        return tree

    assert (await api("POST", f"{path}/pods", asking("one", "300m"))).status == 201
    second = await api("POST", f"{path}/pods", asking("two", "300m"))
    assert second.message.endswith("requested: requests.cpu=300m, used: requests.cpu=300m, limited: requests.cpu=500m")
    assert (await api("POST", f"{path}/pods", asking("three", "200m"))).status == 201


async def test_counts_of_any_kind_and_scopes(api: Any, make_pod: Any) -> None:
    path = await make_namespace(api, "counted", count__deployments_apps="1")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployments = "/apis/apps/v1/namespaces/counted/deployments"
    assert (await api("POST", deployments, {"metadata": {"name": "one"}, "spec": spec})).status == 201
    second = await api("POST", deployments, {"metadata": {"name": "two"}, "spec": spec})
    assert "exceeded quota: q, requested: count/deployments.apps=1" in second.message
    scoped = {"metadata": {"name": "s"}, "spec": {"hard": {"pods": "0"}, "scopes": ["Terminating"]}}
    await api("POST", f"{path}/resourcequotas", scoped)
    assert (await api("POST", f"{path}/pods", make_pod("lasting"))).status == 201
    assert (await api("POST", f"{path}/pods", make_pod("brief", activeDeadlineSeconds=5))).status == 403


async def test_devices_are_counted_by_class(api: Any) -> None:
    path = await make_namespace(api, "devices", gpu_deviceclass_resource_k8s_io__devices="2")
    claims = path.replace("/api/v1", "/apis/resource.k8s.io/v1") + "/resourceclaims"

    def claim(name: str, count: int) -> Any:
        request = {"name": "r", "exactly": {"deviceClassName": "gpu", "count": count}}
        return {"metadata": {"name": name}, "spec": {"devices": {"requests": [request]}}}

    assert (await api("POST", claims, claim("one", 1))).status == 201
    refused = await api("POST", claims, claim("two", 2))
    assert refused.status == 403
    name = "gpu.deviceclass.resource.k8s.io/devices"
    assert refused.message.endswith(f"requested: {name}=2, used: {name}=1, limited: {name}=2")
    assert (await api("POST", claims, claim("three", 1))).status == 201


async def test_the_status_tells_what_is_used(api: Any, make_config_map: Any) -> None:
    path = await make_namespace(api, "told", configmaps="3")
    await api("POST", f"{path}/configmaps", make_config_map("one"))
    quotas = api.server.registry.verbs("", "v1", "resourcequotas")
    expected = {"hard": {"configmaps": "3"}, "used": {"configmaps": "1"}}
    arrived = asyncio.Event()

    def look(events: Any) -> None:
        if any(event.item is not None and event.item.tree().get("status") == expected for event in events):
            arrived.set()

    from podkeeper.registry.verbs import ListOptions

    watch = await quotas.watch("told", ListOptions(), look, arrived.set)
    async with asyncio.timeout(10):
        await arrived.wait()
    watch.stop()


async def test_custom_resources_are_counted(api: Any) -> None:
    names = {"plural": "gadgets", "kind": "Gadget"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "quota.test", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {"metadata": {"name": "gadgets.quota.test"}, "spec": spec}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert (await api("POST", path, definition)).status == 201
    objects = "/apis/quota.test/v1/namespaces/gadgeted/gadgets"
    async with asyncio.timeout(10):
        while (await api("GET", objects)).status != 200:
            pass
    quotas = await make_namespace(api, "gadgeted", **{"count/gadgets.quota.test": "1"}) + "/resourcequotas/q"

    def gadget(name: str) -> Any:
        return {"apiVersion": "quota.test/v1", "kind": "Gadget", "metadata": {"name": name}}

    assert (await api("POST", objects, gadget("a"))).status == 201
    assert (await api("POST", objects, gadget("b"))).status == 403
    async with asyncio.timeout(10):
        while (await api("GET", quotas)).tree["status"].get("used") != {"count/gadgets.quota.test": "1"}:
            pass
