"""The garbage collector by every propagation policy, cycles, second owners; namespaces, their status and their end."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
LABELS = {"app": "gc-test"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "nginx", "image": "example/nginx:1"}]}}
REPLICAS = 10


class Garden:
    """A namespace in which things own others."""

    def __init__(self, api: RawClient, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        core = f"/api/v1/namespaces/{namespace}"
        apps = f"/apis/apps/v1/namespaces/{namespace}"
        self.pods, self.controllers = f"{core}/pods", f"{core}/replicationcontrollers"
        self.deployments, self.sets = f"{apps}/deployments", f"{apps}/replicasets"

    async def controller(self, name: str, replicas: int) -> Tree:
        spec = {"replicas": replicas, "selector": LABELS, "template": TEMPLATE}
        made = await self.api("POST", self.controllers, {"metadata": {"name": name}, "spec": spec})
        assert made.status == 201, made.body
        await self.count(self.pods, replicas)
        tree: Tree = made.tree
        return tree

    async def deployment(self, name: str) -> Tree:
        spec = {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
        made = await self.api("POST", self.deployments, {"metadata": {"name": name}, "spec": spec})
        assert made.status == 201, made.body
        await self.count(self.sets, 1)
        await self.count(self.pods, 2)
        tree: Tree = made.tree
        return tree

    async def delete(self, path: str, obj: Tree, policy: str) -> None:
        options = {"propagationPolicy": policy, "preconditions": {"uid": obj["metadata"]["uid"]}}
        deleted = await self.api("DELETE", f"{path}/{obj['metadata']['name']}", options)
        assert deleted.status in (200, 202), deleted.body

    async def gone(self, path: str, obj: Tree) -> None:
        await self.api.until(f"{path}/{obj['metadata']['name']}", lambda reply: reply.status == 404)

    async def count(self, path: str, number: int) -> None:
        await self.api.until(path, lambda reply: len(reply.tree["items"]) == number)

    async def listed(self, path: str) -> list[Tree]:
        found: list[Tree] = (await self.api("GET", path)).tree["items"]
        return found

    async def settled(self) -> None:
        """Waits until the collector has looked at what came after everything before: a dependent without its owner."""
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "0-0-0"}
        path = self.pods.replace("/pods", "/configmaps")
        made = await self.api("POST", path, {"metadata": {"name": "probe", "ownerReferences": [owner]}})
        assert made.status == 201, made.body
        await self.api.until(f"{path}/probe", lambda reply: reply.status == 404)


@pytest_asyncio.fixture(loop_scope="module")
async def garden(cluster: RawClient, namespace: Any) -> Garden:
    return Garden(cluster, await namespace())


def owners(obj: Tree) -> list[str]:
    return [each["name"] for each in obj["metadata"].get("ownerReferences", ())]


async def test_pods_go_with_their_controller(garden: Garden) -> None:
    controller = await garden.controller("simpletest.rc", 2)
    await garden.delete(garden.controllers, controller, "Background")
    await garden.gone(garden.controllers, controller)
    await garden.count(garden.pods, 0)


async def test_orphaned_pods_stay(garden: Garden) -> None:
    controller = await garden.controller("simpletest.rc", REPLICAS)
    await garden.delete(garden.controllers, controller, "Orphan")
    await garden.gone(garden.controllers, controller)
    await garden.settled()
    pods = await garden.listed(garden.pods)
    assert len(pods) == REPLICAS
    assert [(owners(each), "deletionTimestamp" in each["metadata"]) for each in pods] == [([], False)] * REPLICAS


async def test_a_controller_stays_until_its_pods_are_gone(garden: Garden) -> None:
    controller = await garden.controller("simpletest.rc", REPLICAS)
    await hold(garden, await garden.listed(garden.pods))
    await garden.delete(garden.controllers, controller, "Foreground")
    await garden.api.until(
        garden.pods, lambda reply: all("deletionTimestamp" in each["metadata"] for each in reply.tree["items"])
    )
    kept = (await garden.api("GET", f"{garden.controllers}/simpletest.rc")).tree["metadata"]
    assert kept["finalizers"] == ["foregroundDeletion"]
    await hold(garden, await garden.listed(garden.pods), finalizers=None)
    await garden.gone(garden.controllers, controller)
    assert await garden.listed(garden.pods) == []


async def hold(garden: Garden, pods: list[Tree], finalizers: Any = ("e2e.example.com/held",)) -> None:
    """As a node does that takes its time with pods, or is through with them."""
    for each in pods:
        patch = {"metadata": {"finalizers": finalizers}}
        held = await garden.api("PATCH", f"{garden.pods}/{each['metadata']['name']}", patch, content_type=MERGE)
        assert held.status == 200, held.body


async def test_replica_sets_go_with_their_deployment(garden: Garden) -> None:
    deployment = await garden.deployment("simpletest.deployment")
    await garden.delete(garden.deployments, deployment, "Background")
    await garden.gone(garden.deployments, deployment)
    await garden.count(garden.sets, 0)
    await garden.count(garden.pods, 0)


async def test_orphaned_replica_sets_stay_with_their_pods(garden: Garden) -> None:
    deployment = await garden.deployment("simpletest.deployment")
    await garden.delete(garden.deployments, deployment, "Orphan")
    await garden.gone(garden.deployments, deployment)
    await garden.settled()
    [orphan] = await garden.listed(garden.sets)
    assert owners(orphan) == []
    assert [owners(each) for each in await garden.listed(garden.pods)] == [[orphan["metadata"]["name"]]] * 2


async def test_dependents_with_another_valid_owner_stay(garden: Garden) -> None:
    going = await garden.controller("simpletest-rc-to-be-deleted", REPLICAS)
    spec = {"replicas": 0, "selector": {"another.key": "another.value"}, "template": TEMPLATE}
    spec["template"] = TEMPLATE | {"metadata": {"labels": spec["selector"]}}
    made = await garden.api("POST", garden.controllers, {"metadata": {"name": "simpletest-rc-to-stay"}, "spec": spec})
    assert made.status == 201, made.body
    reference = {"apiVersion": "v1", "kind": "ReplicationController", "name": "simpletest-rc-to-stay"}
    reference["uid"] = made.tree["metadata"]["uid"]
    kept = [each["metadata"]["name"] for each in (await garden.listed(garden.pods))[: REPLICAS // 2]]
    for name in kept:
        patch = {"metadata": {"ownerReferences": [reference]}}
        patched = await garden.api("PATCH", f"{garden.pods}/{name}", patch, content_type=STRATEGIC)
        assert len(owners(patched.tree)) == 2
    await garden.delete(garden.controllers, going, "Foreground")
    await garden.gone(garden.controllers, going)
    await garden.settled()
    pods = await garden.listed(garden.pods)
    assert sorted(each["metadata"]["name"] for each in pods) == sorted(kept)
    for each in pods:
        assert owners(each) == ["simpletest-rc-to-stay"]
        assert "deletionTimestamp" not in each["metadata"]


async def test_a_circle_of_owners_blocks_nothing(garden: Garden) -> None:
    pods = []
    for name in ("pod1", "pod2", "pod3"):
        made = await garden.api("POST", garden.pods, {"metadata": {"name": name}, "spec": TEMPLATE["spec"]})
        assert made.status == 201, made.body
        pods.append(made.tree)
    for index, each in enumerate(pods):
        owner = pods[index - 1]["metadata"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": owner["name"], "uid": owner["uid"]}
        patch = {"metadata": {"ownerReferences": [reference | {"controller": True, "blockOwnerDeletion": True}]}}
        at = f"{garden.pods}/{each['metadata']['name']}"
        assert (await garden.api("PATCH", at, patch, content_type=STRATEGIC)).status == 200
    await garden.delete(garden.pods, pods[0], "Foreground")
    await garden.count(garden.pods, 0)


NAMESPACES = "/api/v1/namespaces"


@pytest.mark.parametrize(
    ("plural", "spec"),
    [("pods", TEMPLATE["spec"]), ("services", {"selector": {"foo": "bar"}, "ports": [{"port": 80, "targetPort": 80}]})],
)
async def test_what_is_in_a_namespace_goes_with_it(cluster: RawClient, namespace: Any, plural: str, spec: Tree) -> None:
    name = await namespace()
    made = await cluster("POST", f"{NAMESPACES}/{name}/{plural}", {"metadata": {"name": "test"}, "spec": spec})
    assert made.status == 201, made.body
    deleted = await cluster("DELETE", f"{NAMESPACES}/{name}")
    assert (deleted.status, deleted.tree["status"]["phase"]) == (200, "Terminating")
    await cluster.until(f"{NAMESPACES}/{name}", lambda reply: reply.status == 404)
    assert (await cluster("POST", NAMESPACES, {"metadata": {"name": name}})).status == 201
    assert (await cluster("GET", f"{NAMESPACES}/{name}/{plural}/test")).status == 404


async def test_pods_of_a_namespace_go_first(cluster: RawClient, namespace: Any) -> None:
    name = await namespace()
    pod = {"metadata": {"name": "pod", "finalizers": ["e2e.example.com/finalizer"]}, "spec": TEMPLATE["spec"]}
    assert (await cluster("POST", f"{NAMESPACES}/{name}/pods", pod)).status == 201
    assert (await cluster("POST", f"{NAMESPACES}/{name}/configmaps", {"metadata": {"name": "map"}})).status == 201
    assert (await cluster("DELETE", f"{NAMESPACES}/{name}")).status == 200

    def told(reply: Reply) -> bool:
        conditions = reply.tree["status"].get("conditions", ())
        return any(each["type"] == "NamespaceDeletionContentFailure" for each in conditions)

    await cluster.until(f"{NAMESPACES}/{name}", told)
    assert "deletionTimestamp" in (await cluster("GET", f"{NAMESPACES}/{name}/pods/pod")).tree["metadata"]
    assert "deletionTimestamp" not in (await cluster("GET", f"{NAMESPACES}/{name}/configmaps/map")).tree["metadata"]
    patch = {"metadata": {"finalizers": None}}
    assert (await cluster("PATCH", f"{NAMESPACES}/{name}/pods/pod", patch, content_type=MERGE)).status == 200
    await cluster.until(f"{NAMESPACES}/{name}", lambda reply: reply.status == 404)


async def test_a_namespace_is_patched_and_updated(cluster: RawClient, namespace: Any) -> None:
    at = f"{NAMESPACES}/{await namespace()}"
    await cluster("PATCH", at, {"metadata": {"labels": {"testLabel": "testValue"}}}, content_type=STRATEGIC)
    tree = (await cluster("GET", at)).tree
    assert tree["metadata"]["labels"]["testLabel"] == "testValue"
    tree["metadata"]["labels"]["e2e"] = "updated"
    updated = await cluster("PUT", at, tree)
    assert updated.tree["metadata"]["labels"]["e2e"] == "updated", updated.body


async def test_the_status_of_a_namespace_is_patched_and_updated(cluster: RawClient, namespace: Any) -> None:
    name = await namespace()
    at = f"{NAMESPACES}/{name}/status"
    assert (await cluster("GET", at)).tree["status"]["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by an e2e test"}
    patch = {"metadata": {"annotations": {"e2e-patched-ns-status": name}}, "status": {"conditions": [condition]}}
    patched = await cluster("PATCH", at, patch, content_type=MERGE)
    assert patched.tree["metadata"]["annotations"]["e2e-patched-ns-status"] == name, patched.body
    assert [each["type"] for each in patched.tree["status"]["conditions"]] == ["StatusPatch"]
    tree = (await cluster("GET", f"{NAMESPACES}/{name}")).tree
    added = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Updated by an e2e test"}
    tree["status"]["conditions"].append(added)
    updated = await cluster("PUT", at, tree)
    assert [each["type"] for each in updated.tree["status"]["conditions"]] == ["StatusPatch", "StatusUpdate"]


async def test_a_finalizer_of_a_namespace_comes_and_goes(cluster: RawClient, namespace: Any) -> None:
    name, fake = await namespace(), "e2e.example.com/fakeFinalizer"
    tree = (await cluster("GET", f"{NAMESPACES}/{name}")).tree
    tree["spec"]["finalizers"].append(fake)
    for finalizers in (["kubernetes", fake], ["kubernetes"]):
        tree["spec"]["finalizers"] = finalizers
        changed = await cluster("PUT", f"{NAMESPACES}/{name}/finalize", tree)
        assert (changed.status, changed.tree["spec"]["finalizers"]) == (200, finalizers), changed.body
        tree = (await cluster("GET", f"{NAMESPACES}/{name}")).tree
        assert tree["spec"]["finalizers"] == finalizers
