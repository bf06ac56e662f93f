"""Flow schemas and priority levels as objects of a server: there, kept, told about, and obeyed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"


async def until(read: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(10):
        while True:
            found = await read()
            if good(found):
                return found


def dangling(reply: Any) -> str:
    conditions = reply.tree.get("status", {}).get("conditions", [])
    return next((each["status"] for each in conditions if each["type"] == "Dangling"), "")


async def test_upstreams_objects_are_there_and_say_that_they_hold(api: Any) -> None:
    schemas = (await api("GET", f"{GROUP}/flowschemas")).tree["items"]
    assert {each["metadata"]["name"]: each["spec"]["matchingPrecedence"] for each in schemas} == {
        "exempt": 1,
        "probes": 2,
        "system-leader-election": 100,
        "endpoint-controller": 150,
        "workload-leader-election": 200,
        "system-node-high": 400,
        "system-nodes": 500,
        "kube-controller-manager": 800,
        "kube-scheduler": 800,
        "kube-system-service-accounts": 900,
        "service-accounts": 9000,
        "global-default": 9900,
        "catch-all": 10000,
    }
    for each in schemas:
        (condition,) = each["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Dangling", "False", "Found")
    assert len((await api("GET", f"{GROUP}/prioritylevelconfigurations")).tree["items"]) == 8


async def test_every_answer_names_its_schema_and_level_by_uid(api: Any) -> None:
    reply = await api("GET", "/api/v1/namespaces/default")
    schema = (await api("GET", f"{GROUP}/flowschemas/exempt")).tree["metadata"]["uid"]
    level = (await api("GET", f"{GROUP}/prioritylevelconfigurations/exempt")).tree["metadata"]["uid"]
    assert reply.headers["x-kubernetes-pf-flowschema-uid"] == schema
    assert reply.headers["x-kubernetes-pf-prioritylevel-uid"] == level
    refused = await api("GET", "/api/v1/namespaces/default", token="")
    assert refused.status == 403
    default = (await api("GET", f"{GROUP}/flowschemas/global-default")).tree["metadata"]["uid"]
    assert refused.headers["x-kubernetes-pf-flowschema-uid"] == default


async def test_what_is_mandatory_comes_back_and_stays_as_it_must_be(api: Any) -> None:
    path = f"{GROUP}/prioritylevelconfigurations/catch-all"
    before = (await api("GET", path)).tree
    changed = {
        **before,
        "spec": {**before["spec"], "limited": {**before["spec"]["limited"], "nominalConcurrencyShares": 77}},
    }
    assert (await api("PUT", path, changed)).status == 200
    found = await until(lambda: api("GET", path), lambda reply: reply.tree["spec"] == before["spec"])
    assert found.tree["metadata"]["uid"] == before["metadata"]["uid"]
    assert (await api("DELETE", path)).status == 200
    found = await until(lambda: api("GET", path), lambda reply: reply.status == 200)
    assert found.tree["metadata"]["uid"] != before["metadata"]["uid"]


async def test_operators_may_take_over_what_is_only_suggested(api: Any) -> None:
    path = f"{GROUP}/prioritylevelconfigurations/workload-low"
    before = (await api("GET", path)).tree
    metadata = {**before["metadata"], "annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}
    limited = {**before["spec"]["limited"], "nominalConcurrencyShares": 77}
    changed = {**before, "metadata": metadata, "spec": {**before["spec"], "limited": limited}}
    assert (await api("PUT", path, changed)).status == 200
    await test_what_is_mandatory_comes_back_and_stays_as_it_must_be(api)  # the keeper has come by since
    assert (await api("GET", path)).tree["spec"]["limited"]["nominalConcurrencyShares"] == 77


async def test_a_schema_tells_whether_its_level_exists(api: Any) -> None:
    schema = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "mine"},
        "spec": {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 7000, "rules": []},
    }
    assert (await api("POST", f"{GROUP}/flowschemas", schema)).status == 201
    path = f"{GROUP}/flowschemas/mine"
    reply = await until(lambda: api("GET", path), lambda reply: dangling(reply) == "True")
    (condition,) = reply.tree["status"]["conditions"]
    told = 'This FlowSchema references the PriorityLevelConfiguration object named "mine" but there is no such object'
    assert (condition["reason"], condition["message"]) == ("NotFound", told)
    level = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "mine"},
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}},
    }
    assert (await api("POST", f"{GROUP}/prioritylevelconfigurations", level)).status == 201
    await until(lambda: api("GET", path), lambda reply: dangling(reply) == "False")
    dump = (await api("GET", "/debug/api_priority_and_fairness/dump_priority_levels")).body.decode()
    assert "mine," in dump


async def test_levels_queues_and_requests_can_be_looked_at(api: Any) -> None:
    below = "/debug/api_priority_and_fairness/dump_"
    levels = (await api("GET", f"{below}priority_levels")).body.decode().splitlines()
    assert levels[0].split()[:2] == ["PriorityLevelName,", "ActiveQueues,"]
    assert {line.partition(",")[0] for line in levels[1:]} >= {"exempt", "system", "catch-all"}
    queues = (await api("GET", f"{below}queues")).body.decode().splitlines()
    assert sum(line.startswith("leader-election,") for line in queues) == 16
    requests = (await api("GET", f"{below}requests?includeRequestDetails=1")).body.decode()
    assert requests.startswith("PriorityLevelName,")
    assert "SubResource" in requests
    assert (await api("GET", f"{below}queues", token="")).status == 403
