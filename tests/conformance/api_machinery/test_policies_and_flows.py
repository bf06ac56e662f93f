"""Admission policies and priority and fairness: what policies judge and change, and every verb of their resources."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import pytest_asyncio
from msgspec import Struct

from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
ADMISSION, FLOWS = "admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
RULE = {"operations": ["CREATE", "UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
ANNOTATING = 'Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}}'


class Resource(Struct, frozen=True):
    """A resource with an object of it, and a change of that object."""

    group: str
    plural: str
    spec: Tree
    patch: Tree
    status: bool = True

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/v1/{self.plural}"


RESOURCES = [
    Resource(
        ADMISSION,
        "validatingadmissionpolicies",
        {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "object.spec.replicas <= 100"}]},
        {"failurePolicy": "Ignore"},
    ),
    Resource(
        ADMISSION,
        "validatingadmissionpolicybindings",
        {"policyName": "replicalimit-policy.example.com", "validationActions": ["Deny"]},
        {"validationActions": ["Deny", "Audit"]},
        status=False,
    ),
    Resource(
        ADMISSION,
        "mutatingadmissionpolicies",
        {
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": ANNOTATING}}],
            "matchConstraints": {"resourceRules": [RULE]},
        },
        {"failurePolicy": "Ignore"},
        status=False,
    ),
    Resource(
        ADMISSION,
        "mutatingadmissionpolicybindings",
        {"policyName": "replicalimit-policy.example.com"},
        {"policyName": "other-policy.example.com"},
        status=False,
    ),
    Resource(
        FLOWS,
        "flowschemas",
        {
            "matchingPrecedence": 10000,
            "priorityLevelConfiguration": {"name": "global-default"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "example-e2e-non-existent-user"}}],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                }
            ],
        },
        {"matchingPrecedence": 9999},
    ),
    Resource(
        FLOWS,
        "prioritylevelconfigurations",
        {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}},
        {"limited": {"nominalConcurrencyShares": 4}},
    ),
]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each.plural)
async def test_a_resource_is_discovered_and_has_every_verb(api: RawClient, resource: Resource) -> None:
    groups = {each["name"]: each for each in (await api("GET", "/apis")).tree["groups"]}
    for found in (groups[resource.group], (await api("GET", f"/apis/{resource.group}")).tree):
        assert "v1" in {each["version"] for each in found["versions"]}
    names = {each["name"] for each in (await api("GET", f"/apis/{resource.group}/v1")).tree["resources"]}
    assert {resource.plural} | ({f"{resource.plural}/status"} if resource.status else set()) <= names

    label, path = {"example-e2e-label": resource.plural}, resource.path
    selected = f"labelSelector=example-e2e-label%3D{resource.plural}"
    template = {"metadata": {"generateName": "e2e-example-", "labels": label}, "spec": resource.spec}
    created = [await api("POST", path, template) for _ in range(3)]
    assert [each.status for each in created] == [201] * 3, created[-1].body
    name = created[-1].tree["metadata"]["name"]
    at = f"{path}/{name}"
    assert (await api("GET", at)).tree["metadata"]["uid"] == created[-1].tree["metadata"]["uid"]
    listing = (await api("GET", f"{path}?{selected}")).tree
    assert len(listing["items"]) == 3
    watch = await api.watch(f"{path}?watch=true&{selected}&resourceVersion={listing['metadata']['resourceVersion']}")

    body = {"metadata": {"annotations": {"patched": "true"}}, "spec": resource.patch}
    patched = await api("PATCH", at, body, content_type=MERGE)
    assert patched.tree["metadata"]["annotations"]["patched"] == "true"
    assert includes(patched.tree["spec"], resource.patch)
    status = 409  # whoever keeps the status may come between
    while status == 409:
        tree = (await api("GET", at)).tree
        tree["metadata"]["annotations"]["updated"] = "true"
        tree["spec"] = merged(tree["spec"], resource.spec)
        updated = await api("PUT", at, tree)
        status = updated.status
    assert updated.tree["metadata"]["annotations"]["updated"] == "true", updated.body
    assert includes(updated.tree["spec"], resource.spec)
    told: Tree = {}
    while told.get("updated") != "true":
        event = await watch.next()
        assert event["type"] == "MODIFIED"
        told = event["object"]["metadata"].get("annotations", {})
    watch.close()
    if resource.status:
        await status_is_changed(api, at)

    assert (await api("DELETE", at)).status == 200
    assert (await api("GET", at)).status == 404
    assert len((await api("GET", f"{path}?{selected}")).tree["items"]) == 2
    assert (await api("DELETE", f"{path}?{selected}")).status == 200
    assert (await api("GET", f"{path}?{selected}")).tree["items"] == []


async def status_is_changed(api: RawClient, at: str) -> None:
    """Read, patched and updated through the subresource."""
    condition = {"type": "PatchStatusFailed", "status": "False", "reason": "e2e", "message": "by a test"}
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    patched = await api("PATCH", f"{at}/status", {"status": {"conditions": [condition]}}, content_type=MERGE)
    assert patched.status == 200, patched.body
    assert "PatchStatusFailed" in types(patched)
    tree = (await api("GET", f"{at}/status")).tree
    tree["status"].setdefault("conditions", []).append(condition | {"type": "UpdateStatusFailed"})
    updated = await api("PUT", f"{at}/status", tree)
    assert updated.status == 200, updated.body
    assert "UpdateStatusFailed" in types(updated)


def types(reply: Reply) -> set[str]:
    return {each["type"] for each in reply.tree["status"]["conditions"]}


def includes(tree: Any, part: Any) -> bool:
    """Whether a tree has all that a part of it says."""
    if isinstance(part, dict):
        return all(includes(tree.get(key), value) for key, value in part.items())
    if isinstance(part, list):
        return len(tree) == len(part) and all(map(includes, tree, part))
    return bool(tree == part)


def merged(tree: Tree, part: Tree) -> Tree:
    """A tree with what a part of it says."""
    made = copy.deepcopy(tree)
    for key, value in part.items():
        made[key] = merged(made[key], value) if isinstance(value, dict) and isinstance(made.get(key), dict) else value
    return made


class Court:
    """A policy with its binding, for one namespace."""

    def __init__(self, api: RawClient, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._selector = {"matchLabels": {namespace: "true"}}

    async def bind(self, sort: str, spec: Tree) -> None:
        name = f"{self._namespace}.policy.example.com"
        constraints = {"namespaceSelector": self._selector, "resourceRules": [RULE]}
        policy = {"metadata": {"name": name}, "spec": {"matchConstraints": constraints} | spec}
        made = await self._api("POST", f"/apis/{ADMISSION}/v1/{sort}admissionpolicies", policy)
        assert made.status == 201, made.body
        bound: Tree = {"policyName": name, "matchResources": {"namespaceSelector": self._selector}}
        if sort == "validating":
            bound["validationActions"] = ["Deny"]
        binding = {"metadata": {"name": f"{self._namespace}.binding.example.com"}, "spec": bound}
        made = await self._api("POST", f"/apis/{ADMISSION}/v1/{sort}admissionpolicybindings", binding)
        assert made.status == 201, made.body

    async def workload(self, plural: str, name: str, replicas: int) -> Reply:
        labels = {"app": "nginx"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
        path = f"/apis/apps/v1/namespaces/{self._namespace}/{plural}"
        return await self._api("POST", path, {"metadata": {"name": name, "labels": labels}, "spec": spec})


@pytest_asyncio.fixture(loop_scope="module")
async def court(api: RawClient, namespace: Any) -> Court:
    name = await namespace()
    await api("PATCH", f"/api/v1/namespaces/{name}", {"metadata": {"labels": {name: "true"}}}, content_type=MERGE)
    return Court(api, name)


MESSAGE = "'wants replicas > 1, got ' + "


@pytest.mark.parametrize(
    "spec",
    [
        {
            "validations": [
                {"expression": "object.spec.replicas > 1", "messageExpression": f"{MESSAGE}object.spec.replicas"}
            ]
        },
        {
            "variables": [
                {"name": "replicas", "expression": "object.spec.replicas"},
                {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
                {"name": "replicasReminder", "expression": "variables.replicas % 2"},
            ],
            "validations": [{"expression": "variables.replicas > 1"}, {"expression": "variables.oddReplicas"}],
        },
    ],
    ids=["expressions", "variables"],
)
async def test_deployments_are_judged_and_other_kinds_are_not(court: Court, spec: Tree) -> None:
    await court.bind("validating", spec)
    refused = await court.workload("deployments", "marker-deployment", 1)
    assert (refused.status, refused.tree["reason"]) == (422, "Invalid")
    assert (await court.workload("deployments", "replicated", 3)).status == 201
    assert (await court.workload("replicasets", "non-replicated", 1)).status == 201


async def test_the_expressions_of_a_policy_are_checked_against_types(api: RawClient, court: Court) -> None:
    path = f"/apis/{ADMISSION}/v1/validatingadmissionpolicies"
    right = [{"expression": "object.spec.replicas > 1"}]
    wrong = [{"expression": "object.spec.replicas > '1'", "messageExpression": f"{MESSAGE}object.spec.replicas"}]
    for name, validations in (("correct", right), ("confused", wrong)):
        spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": validations}
        made = await api("POST", path, {"metadata": {"name": f"{name}-policy.example.com"}, "spec": spec})
        assert made.status == 201, made.body
        checked = await api.until(
            f"{path}/{name}-policy.example.com", lambda reply: "typeChecking" in reply.tree.get("status", {})
        )
        found = checked.tree["status"]["typeChecking"].get("expressionWarnings", [])
        assert [each["fieldRef"] for each in found] == [
            f"spec.validations[0].{field}" for field in validations[0] if name == "confused"
        ]
        for each, said in zip(
            found, ("'_>_' applied to '(int, string)'", "'_+_' applied to '(string, int)'"), strict=False
        ):
            assert f"found no matching overload for {said}" in each["warning"]


async def test_deployments_are_changed(court: Court) -> None:
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": ANNOTATING}}
    await court.bind("mutating", {"reinvocationPolicy": "Never", "mutations": [mutation]})
    made = await court.workload("deployments", "test-deployment", 2)
    assert made.tree["metadata"]["annotations"]["mutated-by"] == "admission-policy"
