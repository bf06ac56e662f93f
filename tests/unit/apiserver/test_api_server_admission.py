"""What admission adds to writes and what it refuses, over a whole API server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULT = "/api/v1/namespaces/default"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MERGE = "application/merge-patch+json"


async def make_namespace(api: Any, name: str) -> str:
    path = f"/api/v1/namespaces/{name}"
    assert (await api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})).status == 201
    assert (await api("POST", f"{path}/serviceaccounts", {"metadata": {"name": "default"}})).status == 201
    return path


async def test_a_pod_gets_its_account_and_a_volume_with_its_token(api: Any, make_pod: Any) -> None:
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("plain"))).tree["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    volume = spec["volumes"][0]
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    mount = {"name": volume["name"], "readOnly": True, "mountPath": TOKEN_PATH}
    assert spec["containers"][0]["volumeMounts"] == [mount]


async def test_who_wants_no_token_gets_none(api: Any, make_pod: Any) -> None:
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("none", automountServiceAccountToken=False))).tree["spec"]
    assert "volumes" not in spec
    account = {
        "metadata": {"name": "mute"},
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "reg"}],
    }
    await api("POST", f"{DEFAULT}/serviceaccounts", account)
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("muted", serviceAccountName="mute"))).tree["spec"]
    assert ("volumes" in spec, spec["imagePullSecrets"]) == (False, [{"name": "reg"}])
    asked = make_pod("asked", serviceAccountName="mute", automountServiceAccountToken=True)
    assert "volumes" in (await api("POST", f"{DEFAULT}/pods", asked)).tree["spec"]


async def test_an_account_that_does_not_exist_is_refused(api: Any, make_pod: Any) -> None:
    reply = await api("POST", f"{DEFAULT}/pods", make_pod("orphan", serviceAccountName="ghost"))
    assert (reply.status, reply.message) == (
        403,
        'pods "orphan" is forbidden: error looking up service account default/ghost: serviceaccount "ghost" not found',
    )


async def test_a_pod_waits_for_the_account_of_a_new_namespace(api: Any, make_pod: Any) -> None:
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "fresh"}})
    creating = asyncio.ensure_future(api("POST", "/api/v1/namespaces/fresh/pods", make_pod("early")))
    table = api.server.registry.verbs("", "v1", "serviceaccounts").kind.cache.watches
    before = table.count
    async with asyncio.timeout(10):
        while table.count == before:
            await asyncio.sleep(0)
    await api("POST", "/api/v1/namespaces/fresh/serviceaccounts", {"metadata": {"name": "default"}})
    assert (await creating).status == 201


async def test_tolerations_of_sick_nodes(api: Any, make_pod: Any) -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("patient", tolerations=[own]))).tree["spec"]
    assert spec["tolerations"] == [
        own,
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        },
    ]
    everything = make_pod("stoic", tolerations=[{"operator": "Exists"}])
    assert len((await api("POST", f"{DEFAULT}/pods", everything)).tree["spec"]["tolerations"]) == 1


async def test_priority_comes_from_the_class(api: Any, make_pod: Any) -> None:
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("low"))).tree["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    critical = make_pod("high", priorityClassName="system-node-critical")
    assert (await api("POST", f"{DEFAULT}/pods", critical)).tree["spec"]["priority"] == 2000001000
    unknown = await api("POST", f"{DEFAULT}/pods", make_pod("odd", priorityClassName="nope"))
    assert unknown.message == 'pods "odd" is forbidden: no PriorityClass with name nope was found'
    own = await api("POST", f"{DEFAULT}/pods", make_pod("vain", priority=7))
    assert own.message.endswith(
        "the integer value of priority (7) must not be provided in pod spec; "
        "priority admission controller computed 0 from the given PriorityClass name"
    )


async def test_one_class_is_the_default(api: Any, make_pod: Any) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    usual = {"metadata": {"name": "usual"}, "value": 10, "globalDefault": True, "preemptionPolicy": "Never"}
    assert (await api("POST", path, usual)).status == 201
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("usual"))).tree["spec"]
    assert (spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]) == ("usual", 10, "Never")
    second = await api("POST", path, usual | {"metadata": {"name": "second"}})
    assert second.message == (
        'priorityclasses.scheduling.k8s.io "second" is forbidden: PriorityClass usual is already marked as default. '
        "Only one default can exist"
    )
    await api("DELETE", f"{path}/usual")


async def test_limit_ranges_complete_and_bound(api: Any, make_pod: Any) -> None:
    path = await make_namespace(api, "limited")
    limits = [
        {
            "type": "Container",
            "default": {"cpu": "200m"},
            "defaultRequest": {"cpu": "100m"},
            "min": {"cpu": "50m"},
            "max": {"cpu": "1"},
        },
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
    ]
    await api("POST", f"{path}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": limits}})
    made = (await api("POST", f"{path}/pods", make_pod("tame"))).tree
    resources = made["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "200m"}, "requests": {"cpu": "100m"}}
    annotation = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert annotation == "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    hungry = make_pod("hungry")
    hungry["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}, "requests": {"cpu": "10m"}}
    reply = await api("POST", f"{path}/pods", hungry)
    assert reply.message == (
        'pods "hungry" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, '
        "maximum cpu usage per Container is 1, but limit is 2]"
    )
    claim = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }
    reply = await api("POST", f"{path}/persistentvolumeclaims", claim)
    assert reply.message == (
        'persistentvolumeclaims "c" is forbidden: '
        "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    )


async def test_default_classes_of_storage_and_ingress(api: Any) -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage = {"metadata": {"name": "fast", "annotations": default}, "provisioner": "example.com/p"}
    await api("POST", "/apis/storage.k8s.io/v1/storageclasses", storage)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"{DEFAULT}/persistentvolumeclaims"
    made = await api("POST", path, {"metadata": {"name": "usual"}, "spec": spec})
    assert made.tree["spec"]["storageClassName"] == "fast"
    static = await api("POST", path, {"metadata": {"name": "static"}, "spec": spec | {"storageClassName": ""}})
    assert static.tree["spec"].get("storageClassName", "") == ""
    marked = {"ingressclass.kubernetes.io/is-default-class": "true"}
    ingress_class = {"metadata": {"name": "web", "annotations": marked}, "spec": {"controller": "example.com/c"}}
    await api("POST", "/apis/networking.k8s.io/v1/ingressclasses", ingress_class)
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    ingress = {"metadata": {"name": "i"}, "spec": {"defaultBackend": backend}}
    made = await api("POST", "/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)
    assert made.tree["spec"]["ingressClassName"] == "web"


async def test_runtime_classes_bring_overhead_and_place(api: Any, make_pod: Any) -> None:
    runtime = {
        "metadata": {"name": "vm"},
        "handler": "vm",
        "overhead": {"podFixed": {"memory": "64Mi"}},
        "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
    }
    assert (await api("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime)).status == 201
    spec = (await api("POST", f"{DEFAULT}/pods", make_pod("heavy", runtimeClassName="vm"))).tree["spec"]
    assert (spec["overhead"], spec["nodeSelector"]) == ({"memory": "64Mi"}, {"vm": "yes"})
    assert {"key": "vm", "operator": "Exists"} in spec["tolerations"]
    missing = await api("POST", f"{DEFAULT}/pods", make_pod("lost", runtimeClassName="nope"))
    assert missing.message == 'pods "lost" is forbidden: pod rejected: RuntimeClass "nope" not found'
    clash = await api("POST", f"{DEFAULT}/pods", make_pod("torn", runtimeClassName="vm", nodeSelector={"vm": "no"}))
    assert "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes" in clash.message


async def test_nodes_get_tokens_for_pods_of_their_own_only(api: Any, make_pod: Any) -> None:
    node = api.server.client_pair("system:node:n1", ("system:nodes",))
    here = (await api("POST", f"{DEFAULT}/pods", make_pod("here", nodeName="n1"))).tree["metadata"]
    there = (await api("POST", f"{DEFAULT}/pods", make_pod("there", nodeName="n2"))).tree["metadata"]
    path = f"{DEFAULT}/serviceaccounts/default/token"

    def asking(metadata: Any) -> Any:
        reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        return {"spec": {"boundObjectRef": reference}}

    assert (await api("POST", path, asking(here), pair=node)).status == 201
    elsewhere = await api("POST", path, asking(there), pair=node)
    assert elsewhere.status == 403
    assert elsewhere.message.endswith("node requested token bound to a pod scheduled on a different node")
    unbound = await api("POST", path, {"spec": {}}, pair=node)
    assert unbound.message.endswith("node requested token not bound to a pod")
