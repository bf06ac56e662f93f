"""Resource quotas: statuses that follow what is made and deleted, refusals, scopes, and quotas as objects."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.api.quantity import Quantity
from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
MERGE = "application/merge-patch+json"
DONGLE = "example.com/dongle"
#: What upstream's usual test quota allows.
HARD = {
    "pods": "5",
    "services": "10",
    "services.nodeports": "1",
    "services.loadbalancers": "1",
    "replicationcontrollers": "10",
    "resourcequotas": "1",
    "cpu": "1",
    "memory": "500Mi",
    "configmaps": "10",
    "secrets": "10",
    "persistentvolumeclaims": "10",
    "requests.storage": "10Gi",
    "requests.ephemeral-storage": "50Gi",
    f"requests.{DONGLE}": "3",
    "count/replicasets.apps": "5",
}


def same(found: Tree, expected: Tree) -> bool:
    """Whether quantities are equal, however they are written, for what is expected."""
    return all(key in found and Quantity.parse(found[key]) == Quantity.parse(value) for key, value in expected.items())


class Budgeted:
    """A namespace with quotas."""

    def __init__(self, api: RawClient, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.path = f"/api/v1/namespaces/{namespace}"
        self.quotas = f"{self.path}/resourcequotas"

    async def limit(self, name: str = "test-quota", hard: Tree | None = None, scopes: tuple[str, ...] = ()) -> Tree:
        spec: Tree = {"hard": hard or HARD}
        if scopes:
            spec["scopes"] = list(scopes)
        made = await self.api("POST", self.quotas, {"metadata": {"name": name}, "spec": spec})
        assert made.status == 201, made.body
        tree: Tree = made.tree
        return tree

    async def used(self, expected: Tree, name: str = "test-quota") -> None:
        """Waits until the status says so, with the whole of the spec's limits."""

        def told(reply: Reply) -> bool:
            status, hard = reply.tree.get("status", {}), reply.tree["spec"]["hard"]
            return same(status.get("hard", {}), hard) and same(status.get("used", {}), expected)

        await self.api.until(f"{self.quotas}/{name}", told)

    async def create(self, path: str, name: str, **content: Any) -> Reply:
        return await self.api("POST", path, {"metadata": {"name": name}} | content)

    async def delete(self, path: str, name: str, **options: Any) -> None:
        gone = await self.api("DELETE", f"{path}/{name}", options or None)
        assert gone.status in (200, 202), gone.body

    async def pod(self, name: str, requests: Tree, limits: Tree | None = None, **spec: Any) -> Reply:
        container = {"name": "pause", "image": "example/pause:1"}
        resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
        if resources:
            container |= {"resources": resources}
        spec |= {"containers": [container], "terminationGracePeriodSeconds": 0}
        return await self.create(f"{self.path}/pods", name, spec=spec)


@pytest_asyncio.fixture(loop_scope="module")
async def budgeted(cluster: RawClient, namespace: Any) -> Budgeted:
    return Budgeted(cluster, await namespace())


async def test_the_status_is_calculated_promptly(budgeted: Budgeted) -> None:
    await budgeted.limit()
    await budgeted.used(dict.fromkeys(HARD, "0") | {"resourcequotas": "1"} | await budgeted_defaults(budgeted))


async def budgeted_defaults(budgeted: Budgeted) -> Tree:
    """What every namespace has: the published certificate."""
    found = await budgeted.api.until(f"{budgeted.path}/configmaps", lambda reply: reply.tree["items"])
    return {"configmaps": str(len(found.tree["items"]))}


async def test_the_life_of_services(budgeted: Budgeted) -> None:
    await budgeted.limit()
    await budgeted.used({"resourcequotas": "1"})
    path = f"{budgeted.path}/services"

    async def service(name: str, kind: str, **more: Any) -> Reply:
        return await budgeted.create(path, name, spec={"type": kind, "ports": [{"port": 80}], **more})

    assert (await service("test-service", "ClusterIP")).status == 201
    assert (await service("test-service-np", "NodePort")).status == 201
    refused = await service("test-service-lb", "LoadBalancer", allocateLoadBalancerNodePorts=True)
    assert (refused.status, refused.tree["reason"]) == (403, "Forbidden")
    await budgeted.used({"resourcequotas": "1", "services": "2", "services.nodeports": "1"})
    for name in ("test-service", "test-service-np"):
        await budgeted.delete(path, name)
    await budgeted.used({"resourcequotas": "1", "services": "0", "services.nodeports": "0"})


@pytest.mark.parametrize(
    ("plural", "content"),
    [("secrets", {"data": {"data-1": "dmFsdWUtMQo="}}), ("configmaps", {"data": {"a": "b"}})],
)
async def test_the_life_of_secrets_and_config_maps(budgeted: Budgeted, plural: str, content: Tree) -> None:
    path = f"{budgeted.path}/{plural}"
    before = int((await budgeted_defaults(budgeted))["configmaps"]) if plural == "configmaps" else 0
    await budgeted.limit(hard=HARD | {plural: str(before + 1)})
    await budgeted.used({"resourcequotas": "1", plural: str(before)})
    assert (await budgeted.create(path, "test", **content)).status == 201
    await budgeted.used({plural: str(before + 1)})
    assert (await budgeted.create(path, "test-2", **content)).status == 403
    await budgeted.delete(path, "test")
    await budgeted.used({plural: str(before)})


async def test_the_life_of_a_pod(budgeted: Budgeted) -> None:
    await budgeted.limit()
    await budgeted.used({"resourcequotas": "1"})
    requests = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", DONGLE: "2"}
    made = await budgeted.pod("test-pod", requests, {DONGLE: "2"})
    assert made.status == 201, made.body
    taken = {
        "resourcequotas": "1",
        "pods": "1",
        "cpu": "500m",
        "memory": "252Mi",
        "requests.ephemeral-storage": "30Gi",
        f"requests.{DONGLE}": "2",
    }
    await budgeted.used(taken)
    refused = await budgeted.pod("fail-pod", {"cpu": "600m", "memory": "100Mi"})
    assert refused.status == 403
    more = requests | {"memory": "100Mi"}
    refused = await budgeted.pod("fail-pod-for-extended-resource", more, {DONGLE: "2"})
    assert refused.status == 403
    tree = copy.deepcopy(made.tree)
    smaller = {"cpu": "100m", "memory": "100Mi", "ephemeral-storage": "10Gi"}
    tree["spec"]["containers"][0]["resources"]["requests"] = smaller
    assert (await budgeted.api("PUT", f"{budgeted.path}/pods/test-pod", tree)).status == 422
    await budgeted.used(taken)
    await budgeted.delete(f"{budgeted.path}/pods", "test-pod", gracePeriodSeconds=0)
    await budgeted.used(dict.fromkeys(taken, "0") | {"resourcequotas": "1"})


@pytest.mark.parametrize(
    ("prefix", "counted"),
    [
        ("/api/v1/{}/replicationcontrollers", "replicationcontrollers"),
        ("/apis/apps/v1/{}/replicasets", "count/replicasets.apps"),
    ],
)
async def test_the_life_of_workloads(budgeted: Budgeted, prefix: str, counted: str) -> None:
    await budgeted.limit()
    await budgeted.used({"resourcequotas": "1", counted: "0"})
    labels = {"name": "test"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    selector: Tree = labels if "controllers" in prefix else {"matchLabels": labels}
    path = prefix.format(f"namespaces/{budgeted.namespace}")
    made = await budgeted.create(path, "test", spec={"replicas": 0, "selector": selector, "template": template})
    assert made.status == 201, made.body
    await budgeted.used({counted: "1"})
    await budgeted.delete(path, "test", propagationPolicy="Background")
    await budgeted.used({counted: "0"})


async def test_a_quota_is_updated_and_deleted(budgeted: Budgeted) -> None:
    made = await budgeted.limit(hard={"cpu": "1", "memory": "500Mi"})
    at = f"{budgeted.quotas}/test-quota"
    assert (await budgeted.api("GET", at)).tree["spec"]["hard"] == {"cpu": "1", "memory": "500Mi"}
    tree = (await budgeted.api("GET", at)).tree
    tree["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}
    tree["metadata"].pop("resourceVersion")
    assert (await budgeted.api("PUT", at, tree)).status == 200, made
    assert (await budgeted.api("GET", at)).tree["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    await budgeted.delete(budgeted.quotas, "test-quota")
    assert (await budgeted.api("GET", at)).status == 404


BEST_EFFORT, NOT_BEST_EFFORT = "quota-besteffort", "quota-not-besteffort"
TERMINATING, NOT_TERMINATING = "quota-terminating", "quota-not-terminating"


async def test_best_effort_pods_count_apart(budgeted: Budgeted) -> None:
    await budgeted.limit(BEST_EFFORT, {"pods": "5"}, ("BestEffort",))
    await budgeted.limit(NOT_BEST_EFFORT, {"pods": "5"}, ("NotBestEffort",))
    resources = {"cpu": "500m", "memory": "200Mi"}
    for requests, limits, counts, other in (
        ({}, {}, BEST_EFFORT, NOT_BEST_EFFORT),
        (resources, {"cpu": "1", "memory": "400Mi"}, NOT_BEST_EFFORT, BEST_EFFORT),
    ):
        await both(budgeted, {counts: {"pods": "0"}, other: {"pods": "0"}})
        assert (await budgeted.pod("pod", requests, limits)).status == 201
        await both(budgeted, {counts: {"pods": "1"}, other: {"pods": "0"}})
        await budgeted.delete(f"{budgeted.path}/pods", "pod", gracePeriodSeconds=0)
        await both(budgeted, {counts: {"pods": "0"}, other: {"pods": "0"}})


async def both(budgeted: Budgeted, expected: dict[str, Tree]) -> None:
    for name, usage in expected.items():
        await budgeted.used(usage, name)


async def test_terminating_pods_count_apart(budgeted: Budgeted) -> None:
    hard = {
        "pods": "5",
        "requests.cpu": "1",
        "requests.memory": "500Mi",
        "limits.cpu": "2",
        "limits.memory": "1Gi",
    }
    await budgeted.limit(TERMINATING, hard, ("Terminating",))
    await budgeted.limit(NOT_TERMINATING, hard, ("NotTerminating",))
    requests, limits = {"cpu": "500m", "memory": "200Mi"}, {"cpu": "1", "memory": "400Mi"}
    taken = {"pods": "1"} | {f"requests.{key}": value for key, value in requests.items()}
    taken |= {f"limits.{key}": value for key, value in limits.items()}
    nothing = dict.fromkeys(taken, "0")
    deadline = {"activeDeadlineSeconds": 3600}
    more: Tree
    for more, counts, other in (({}, NOT_TERMINATING, TERMINATING), (deadline, TERMINATING, NOT_TERMINATING)):
        made = await budgeted.pod("pod", requests, limits, **more)
        assert made.status == 201, made.body
        await both(budgeted, {counts: taken, other: nothing})
        await budgeted.delete(f"{budgeted.path}/pods", "pod", gracePeriodSeconds=0)
        await both(budgeted, {counts: nothing, other: nothing})


async def test_the_life_of_a_quota(budgeted: Budgeted) -> None:
    label = {"e2e-rq-label": budgeted.namespace}
    spec = {"hard": {"cpu": "500m", "memory": "500Mi"}}
    made = await budgeted.api(
        "POST", budgeted.quotas, {"metadata": {"name": "e2e-quota", "labels": label}, "spec": spec}
    )
    assert made.status == 201, made.body
    at = f"{budgeted.quotas}/e2e-quota"
    assert (await budgeted.api("GET", at)).tree["spec"]["hard"] == spec["hard"]
    query = f"labelSelector=e2e-rq-label%3D{budgeted.namespace}"
    assert len((await budgeted.api("GET", f"/api/v1/resourcequotas?{query}")).tree["items"]) == 1
    patch = {"metadata": {"labels": {"e2e": "patched"}}, "spec": {"hard": {"memory": "750Mi"}}}
    patched = await budgeted.api("PATCH", at, patch, content_type="application/strategic-merge-patch+json")
    assert patched.tree["metadata"]["labels"] == label | {"e2e": "patched"}
    assert patched.tree["spec"]["hard"] == {"cpu": "500m", "memory": "750Mi"}
    assert (await budgeted.api("DELETE", f"{budgeted.quotas}?{query}")).status == 200
    assert (await budgeted.api("GET", f"/api/v1/resourcequotas?{query}")).tree["items"] == []


async def test_the_status_of_a_quota_is_changed_by_hand_and_put_right(budgeted: Budgeted) -> None:
    await budgeted.limit("e2e-rq-status", {"cpu": "500m", "memory": "500Mi"})
    at = f"{budgeted.quotas}/e2e-rq-status"
    await budgeted.used({"cpu": "0", "memory": "0"}, "e2e-rq-status")
    version = (await budgeted.api("GET", at)).tree["metadata"]["resourceVersion"]
    watch = await budgeted.api.watch(
        f"{budgeted.quotas}?watch=true&fieldSelector=metadata.name%3De2e-rq-status&resourceVersion={version}"
    )

    async def seen(hard: Tree) -> None:
        """The watch tells of a status with these limits."""
        while not same((await watch.next())["object"]["status"]["hard"], hard):
            pass

    status = 409
    while status == 409:
        tree = (await budgeted.api("GET", at)).tree
        tree["status"]["hard"] = {"cpu": "600m", "memory": "600Mi"}
        updated = await budgeted.api("PUT", f"{at}/status", tree)
        status = updated.status
    assert same(updated.tree["status"]["hard"], {"cpu": "600m", "memory": "600Mi"}), updated.body
    await seen({"cpu": "600m", "memory": "600Mi"})
    await seen({"cpu": "500m", "memory": "500Mi"})

    await budgeted.api("PATCH", at, {"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}}, content_type=MERGE)
    await seen({"cpu": "1", "memory": "1Gi"})
    for cpu in ("2", "3"):
        body = {"spec": {"hard": {"cpu": "9"}}, "status": {"hard": {"cpu": cpu, "memory": "2Gi"}}}
        patched = await budgeted.api("PATCH", f"{at}/status", body, content_type=MERGE)
        assert same(patched.tree["status"]["hard"], {"cpu": cpu, "memory": "2Gi"}), patched.body
        assert patched.tree["spec"]["hard"] == {"cpu": "1", "memory": "1Gi"}
        await seen({"cpu": cpu, "memory": "2Gi"})
        await seen({"cpu": "1", "memory": "1Gi"})
    found = (await budgeted.api("GET", f"{at}/status")).tree
    assert same(found["status"]["hard"], found["spec"]["hard"])
    watch.close()
