"""Admission webhooks: refusals, changes, order, timeouts, what they may not do, and their configurations as objects.

The webhooks answer as upstream's test image does: /configmaps, /pods, /attach, /custom-resource, /crd refuse what says
so, /mutating-* add what the next stage wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.testing.raw_client import RawClient, Reply
from podkeeper.testing.review_server import ReviewServer, patching

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
GROUP = "/apis/admissionregistration.k8s.io/v1"
VALIDATING, MUTATING = "validatingwebhookconfigurations", "mutatingwebhookconfigurations"
BOTH = pytest.mark.parametrize("plural", [VALIDATING, MUTATING])
MARK, DISALLOWED = "webhook-e2e-test", "webhook-disallow"
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"
#: Seconds that a slow webhook takes: more than the shortest timeout there is, less than the usual one.
DELAY = 1.3


def refusing(*reasons: str) -> Tree:
    said = [each for each in reasons if each]
    return {"allowed": not said, "status": {"message": "; ".join(said)}}


def judge_pod(request: Tree) -> Tree:
    pod = request["object"]
    named = any(each["name"] == DISALLOWED for each in pod["spec"]["containers"])
    labelled = pod["metadata"].get("labels", {}).get(MARK) == DISALLOWED
    return refusing(
        "the pod contains unwanted container name" if named else "",
        "the pod contains unwanted label" if labelled else "",
    )


def judge_config_map(request: Tree) -> Tree:
    unwanted = request["object"].get("data", {}).get(MARK) == DISALLOWED
    return refusing("the configmap contains unwanted key and value" if unwanted else "")


def judge_custom(request: Tree) -> Tree:
    if request["operation"] == "DELETE":
        kept = request["oldObject"].get("data", {}).get(MARK) == "webhook-nondeletable"
        return refusing(
            "the custom resource cannot be deleted because it contains unwanted key and value" if kept else ""
        )
    unwanted = request["object"].get("data", {}).get(MARK) == DISALLOWED
    return refusing("the custom resource contains unwanted data" if unwanted else "")


def judge_definition(request: Tree) -> Tree:
    unwanted = request["object"]["metadata"].get("labels", {}).get(MARK) == DISALLOWED
    return refusing("the crd contains unwanted label" if unwanted else "")


def add_stages(request: Tree) -> Any:
    """The next key for each that is there."""
    data = request["object"].get("data", {})
    for before, after in (("mutation-start", "mutation-stage-1"), ("mutation-stage-1", "mutation-stage-2")):
        if data.get(before) == "yes" and after not in data:
            return patching({"op": "add", "path": f"/data/{after}", "value": "yes"})(request)
    return {"allowed": True}


async def hang(request: Tree) -> Tree:
    await asyncio.Event().wait()
    raise AssertionError("nobody waits for this")


async def answer_late(request: Tree) -> Tree:
    await asyncio.sleep(DELAY)
    return {"allowed": True}


INIT = {"name": "webhook-added-init-container", "image": "example/init:1"}
ANSWERS = {
    "/pods": judge_pod,
    "/configmaps": judge_config_map,
    "/attach": lambda request: refusing("attaching to pod 'to-be-attached-pod' is not allowed"),
    "/custom-resource": judge_custom,
    "/crd": judge_definition,
    "/mutating-configmaps": add_stages,
    "/mutating-custom-resource": add_stages,
    "/mutating-pods": patching({"op": "add", "path": "/spec/initContainers", "value": [INIT]}),
    "/add-label": patching({"op": "add", "path": "/metadata/labels", "value": {"changed": "yes"}}),
    "/always-deny": lambda request: refusing("this webhook denies all requests"),
    "/hang": hang,
    "/late": answer_late,
}


def rule(resources: str, *operations: str, group: str = "", versions: tuple[str, ...] = ("v1",)) -> Tree:
    return {
        "operations": list(operations or ("CREATE",)),
        "apiGroups": [group],
        "apiVersions": list(versions),
        "resources": [resources],
    }


class Workshop:
    """A namespace whose objects webhooks look at, and configurations for it."""

    def __init__(self, api: RawClient, hooks: ReviewServer, namespace: str) -> None:
        self.api, self.hooks, self.namespace = api, hooks, namespace
        self.path = f"/api/v1/namespaces/{namespace}"

    def hook(self, name: str, path: str, rules: Tree, **more: Any) -> Tree:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
        usual = {"sideEffects": "None", "admissionReviewVersions": ["v1", "v1beta1"], "namespaceSelector": selector}
        return usual | {"name": name, "clientConfig": self.hooks.client(path), "rules": [rules]} | more

    async def register(self, plural: str, name: str, *webhooks: Tree, **metadata: Any) -> Tree:
        made = await self.api(
            "POST", f"{GROUP}/{plural}", {"metadata": {"name": name} | metadata, "webhooks": list(webhooks)}
        )
        assert made.status == 201, made.body
        tree: Tree = made.tree
        return tree

    async def config_map(self, name: str, **data: str) -> Reply:
        named = {key.replace("_", "-"): value for key, value in data.items()}
        return await self.api("POST", f"{self.path}/configmaps", {"metadata": {"name": name}, "data": named})

    async def pod(self, name: str, container: str = "c", **labels: str) -> Reply:
        spec = {"containers": [{"name": container, "image": "example/app:1"}]}
        tree = {"metadata": {"name": name, "labels": labels}, "spec": spec}
        return await self.api("POST", f"{self.path}/pods", tree)


@pytest_asyncio.fixture(loop_scope="module")
async def shop(api: RawClient, hooks: ReviewServer, namespace: Any) -> AsyncIterator[Workshop]:
    hooks.answers.update(ANSWERS)
    yield Workshop(api, hooks, await namespace())
    for plural in (VALIDATING, MUTATING):
        await api("DELETE", f"{GROUP}/{plural}")


async def test_pods_and_config_maps_are_refused(shop: Workshop, namespace: Any) -> None:
    no_bundle = shop.hooks.client("/configmaps") | {"caBundle": ""}
    skipping = {"matchExpressions": [{"key": "skip-webhook-admission", "operator": "NotIn", "values": ["yes"]}]}
    await shop.register(
        VALIDATING,
        "e2e-test-webhook-config",
        shop.hook("deny-unwanted-pod-container-name-and-label.k8s.io", "/pods", rule("pods"), timeoutSeconds=1),
        shop.hook(
            "deny-unwanted-configmap-data.k8s.io",
            "/configmaps",
            rule("configmaps", "CREATE", "UPDATE"),
            namespaceSelector=skipping,
        ),
        shop.hook(
            "fail-open.k8s.io", "/configmaps", rule("configmaps"), clientConfig=no_bundle, failurePolicy="Ignore"
        ),
    )
    refused = await shop.pod("disallowed-pod", DISALLOWED, **{MARK: DISALLOWED})
    assert "the pod contains unwanted container name" in refused.message
    assert "the pod contains unwanted label" in refused.message
    shop.hooks.answers["/pods"] = hang
    late = await shop.pod("hanging-pod", "wait-forever", **{MARK: "wait-forever"})
    assert "deadline" in late.message
    why = "the configmap contains unwanted key and value"
    unwanted = {MARK.replace("-", "_"): DISALLOWED}
    assert why in (await shop.config_map("disallowed-configmap", **unwanted)).message
    assert (await shop.config_map("allowed-configmap", admit="this")).status == 201
    at = f"{shop.path}/configmaps/allowed-configmap"
    tree = (await shop.api("GET", at)).tree
    tree["data"][MARK] = DISALLOWED
    assert why in (await shop.api("PUT", at, tree)).message
    patch = {"data": {MARK: DISALLOWED}}
    assert why in (await shop.api("PATCH", at, patch, content_type=STRATEGIC)).message
    exempted = Workshop(shop.api, shop.hooks, await namespace(**{"skip-webhook-admission": "yes"}))
    assert (await exempted.config_map("disallowed-configmap", **unwanted)).status == 201


async def test_attaching_is_refused(shop: Workshop) -> None:
    hook = shop.hook("deny-attaching-pod.k8s.io", "/attach", rule("pods/attach", "CONNECT"))
    await shop.register(VALIDATING, "e2e-test-webhook-config-attach", hook)
    assert (await shop.pod("to-be-attached-pod", "container1")).status == 201
    refused = await shop.api("POST", f"{shop.path}/pods/to-be-attached-pod/attach?container=container1&stdin=true")
    assert "attaching to pod 'to-be-attached-pod' is not allowed" in refused.message


async def test_custom_objects_are_refused_to_be_made_changed_and_deleted(shop: Workshop, define: Any) -> None:
    made = await define(scope="Namespaced")
    rules = rule(made.plural, "CREATE", "UPDATE", "DELETE", group=made.group, versions=("v1beta1",))
    hook = shop.hook("deny-unwanted-custom-resource-data.k8s.io", "/custom-resource", rules)
    await shop.register(VALIDATING, "e2e-test-webhook-config-custom-resource", hook)
    path, api = made.path(namespace=shop.namespace), shop.api
    why = "the custom resource contains unwanted data"
    refused = await api("POST", path, made.made("cr-instance-1", data={MARK: DISALLOWED}))
    assert why in refused.message
    kept = await api("POST", path, made.made("cr-instance-2", data={MARK: "webhook-nondeletable"}))
    assert kept.status == 201, kept.body
    merge = "application/merge-patch+json"
    patched = await api("PATCH", f"{path}/cr-instance-2", {"data": {MARK: DISALLOWED}}, content_type=merge)
    assert why in patched.message
    refused = await api("DELETE", f"{path}/cr-instance-2")
    assert "the custom resource cannot be deleted because it contains unwanted key and value" in refused.message
    freed = await api("PATCH", f"{path}/cr-instance-2", {"data": {MARK: None}}, content_type=merge)
    assert freed.status == 200, freed.body
    assert (await api("DELETE", f"{path}/cr-instance-2")).status == 200


async def test_a_definition_is_refused(shop: Workshop) -> None:
    rules = rule("customresourcedefinitions", group="apiextensions.k8s.io", versions=("*",))
    chosen = {"matchLabels": {MARK: DISALLOWED}}
    hook = shop.hook("deny-crd-with-unwanted-label.k8s.io", "/crd", rules, objectSelector=chosen)
    await shop.register(VALIDATING, "e2e-test-webhook-config-crd", hook)
    names = {"plural": "unwanteds", "kind": "Unwanted"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "webhook.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": "unwanteds.webhook.example.com", "labels": {MARK: DISALLOWED}}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    refused = await shop.api("POST", path, {"metadata": metadata, "spec": spec})
    assert "the crd contains unwanted label" in refused.message
    assert (await shop.api("GET", f"{path}/{metadata['name']}")).status == 404


async def test_what_cannot_be_asked_and_fails_closed_refuses(shop: Workshop) -> None:
    unreachable = shop.hooks.client("/configmaps") | {"caBundle": ""}
    hook = shop.hook("fail-closed.k8s.io", "/configmaps", rule("configmaps"), clientConfig=unreachable)
    await shop.register(VALIDATING, "e2e-test-webhook-fail-closed", hook)
    refused = await shop.config_map("foo")
    assert (refused.status, refused.tree["reason"]) == (500, "InternalError")


async def test_config_maps_are_changed_in_stages(shop: Workshop) -> None:
    hooks = [
        shop.hook(f"adding-configmap-data-stage-{each}.k8s.io", "/mutating-configmaps", rule("configmaps"))
        for each in (1, 2)
    ]
    await shop.register(MUTATING, "e2e-test-mutating-webhook-config", *hooks)
    made = await shop.config_map("to-be-mutated", mutation_start="yes")
    assert made.tree["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


async def test_defaults_are_applied_after_a_pod_was_changed(shop: Workshop) -> None:
    hook = shop.hook("adding-init-container.k8s.io", "/mutating-pods", rule("pods"))
    await shop.register(MUTATING, "e2e-test-mutating-webhook-pod", hook)
    [added] = (await shop.pod("webhook-to-be-mutated")).tree["spec"]["initContainers"]
    assert (added["name"], added["terminationMessagePolicy"]) == ("webhook-added-init-container", "File")


async def test_configurations_of_webhooks_are_beyond_webhooks(shop: Workshop) -> None:
    everything = {"namespaceSelector": {}}
    for plural in (VALIDATING, MUTATING):
        rules = rule(plural, "DELETE", group="admissionregistration.k8s.io", versions=("*",))
        hook = shop.hook(f"deny-{plural}.k8s.io", "/always-deny", rules, **everything)
        await shop.register(VALIDATING, f"e2e-test-deny-{plural}", hook)
        rules = rule(plural, "CREATE", group="admissionregistration.k8s.io", versions=("*",))
        hook = shop.hook(f"add-label-to-{plural}.k8s.io", "/add-label", rules, **everything)
        await shop.register(MUTATING, f"e2e-test-add-label-{plural}", hook)
    for plural in (VALIDATING, MUTATING):
        dummy = shop.hook("dummy.k8s.io", "/always-deny", rule("invalid", group="invalid"), failurePolicy="Ignore")
        made = await shop.register(plural, f"e2e-test-dummy-{plural}", dummy)
        assert "labels" not in made["metadata"]
        assert (await shop.api("DELETE", f"{GROUP}/{plural}/e2e-test-dummy-{plural}")).status == 200


async def stages_of_custom(shop: Workshop, made: Any) -> None:
    rules = rule(made.plural, "CREATE", "UPDATE", group=made.group, versions=("v1", "v2"))
    hooks = [
        shop.hook(f"mutate-custom-resource-data-stage-{each}.k8s.io", "/mutating-custom-resource", rules)
        for each in (1, 2)
    ]
    await shop.register(MUTATING, f"e2e-test-mutating-{made.plural}", *hooks)


async def test_custom_objects_are_changed(shop: Workshop, define: Any, make_version: Any) -> None:
    made = await define(make_version("v1"), scope="Namespaced")
    await stages_of_custom(shop, made)
    tree = made.made("cr-instance-1", "v1", data={"mutation-start": "yes"})
    changed = await shop.api("POST", made.path("v1", shop.namespace), tree)
    assert changed.tree["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


async def test_custom_objects_are_changed_and_pruned(shop: Workshop, define: Any, make_version: Any) -> None:
    string = {"type": "string"}
    data = {"type": "object", "properties": {"mutation-start": string, "mutation-stage-1": string}}
    made = await define(make_version("v1", {"type": "object", "properties": {"data": data}}), scope="Namespaced")
    await stages_of_custom(shop, made)
    tree = made.made("cr-instance-1", "v1", data={"mutation-start": "yes"})
    changed = await shop.api("POST", made.path("v1", shop.namespace), tree)
    assert changed.tree["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}


async def test_custom_objects_are_changed_while_the_stored_version_changes(
    shop: Workshop, define: Any, make_version: Any
) -> None:
    made = await define(make_version("v1"), make_version("v2", storage=False), scope="Namespaced")
    await stages_of_custom(shop, made)
    v1, v2 = made.path("v1", shop.namespace), made.path("v2", shop.namespace)
    created = await shop.api("POST", v1, made.made("cr-instance-1", "v1", data={"mutation-start": "yes"}))
    assert created.status == 201, created.body
    await made.patch(
        {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
    )
    patch = {"data": {"dummy": "test"}}
    patched = await shop.api("PATCH", f"{v2}/cr-instance-1", patch, content_type="application/merge-patch+json")
    assert patched.status == 200, patched.body
    assert patched.tree["data"] == {
        "mutation-start": "yes",
        "mutation-stage-1": "yes",
        "mutation-stage-2": "yes",
        "dummy": "test",
    }


async def test_timeouts_are_kept(shop: Workshop) -> None:
    cases: list[tuple[Tree, bool]] = [
        ({"timeoutSeconds": 1, "failurePolicy": "Fail"}, False),
        ({"timeoutSeconds": 1, "failurePolicy": "Ignore"}, True),
        ({"timeoutSeconds": 10, "failurePolicy": "Fail"}, True),
        ({"failurePolicy": "Fail"}, True),
    ]
    for number, (settings, _) in enumerate(cases):
        chosen = {"matchConditions": [{"name": "mine", "expression": f"object.metadata.name == 'slow-{number}'"}]}
        hook = shop.hook(f"slow-{number}.k8s.io", "/late", rule("configmaps"), **settings, **chosen)
        await shop.register(VALIDATING, f"e2e-test-slow-{number}", hook)
    replies = await asyncio.gather(*(shop.config_map(f"slow-{number}") for number in range(len(cases))))
    assert [reply.status == 201 for reply in replies] == [allowed for _, allowed in cases]
    assert "deadline exceeded" in replies[0].message


async def effect(shop: Workshop, plural: str, name: str) -> bool:
    """Whether the webhook of ``changing`` was asked about a new config map."""
    unwanted = {MARK.replace("-", "_"): DISALLOWED}
    made = await shop.config_map(name, mutation_start="yes", **(unwanted if plural == VALIDATING else {}))
    await shop.api("DELETE", f"{shop.path}/configmaps/{name}")
    if plural == VALIDATING:
        return made.status != 201 and "the configmap contains unwanted key and value" in made.message
    return "mutation-stage-1" in made.tree["data"]


def changing(shop: Workshop, plural: str) -> Tree:
    path = "/configmaps" if plural == VALIDATING else "/mutating-configmaps"
    return shop.hook("changing-configmap.k8s.io", path, rule("configmaps"))


@BOTH
async def test_a_configuration_is_updated_and_patched(shop: Workshop, plural: str) -> None:
    tree = await shop.register(plural, "e2e-test-changing", changing(shop, plural))
    assert await effect(shop, plural, "before")
    tree["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
    at = f"{GROUP}/{plural}/e2e-test-changing"
    assert (await shop.api("PUT", at, tree)).status == 200
    assert not await effect(shop, plural, "updated")
    steps = [{"op": "replace", "path": "/webhooks/0/rules/0/operations/0", "value": "CREATE"}]
    assert (await shop.api("PATCH", at, steps, content_type=JSON_PATCH)).status == 200
    assert await effect(shop, plural, "patched")


@BOTH
async def test_configurations_are_listed_and_deleted_by_label(shop: Workshop, plural: str) -> None:
    label = {"e2e-list-test-uuid": "u"}
    for number in range(10):
        await shop.register(plural, f"e2e-test-listed-{number}", changing(shop, plural), labels=label)
    query = f"{GROUP}/{plural}?labelSelector=e2e-list-test-uuid%3Du"
    assert len((await shop.api("GET", query)).tree["items"]) == 10
    assert await effect(shop, plural, "before")
    assert (await shop.api("DELETE", query)).status == 200
    assert (await shop.api("GET", query)).tree["items"] == []
    assert not await effect(shop, plural, "after")


@BOTH
async def test_match_conditions_are_kept_and_changed(shop: Workshop, plural: str) -> None:
    first = [{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}]
    tree = await shop.register(plural, "e2e-test-conditions", changing(shop, plural) | {"matchConditions": first})
    at = f"{GROUP}/{plural}/e2e-test-conditions"
    assert (await shop.api("GET", at)).tree["webhooks"][0]["matchConditions"] == first
    second = [
        {"name": "expression-1", "expression": "object.metadata.namespace == 'staging'"},
        {"name": "expression-2", "expression": "object.metadata.name == 'foo'"},
    ]
    tree["webhooks"][0]["matchConditions"] = second
    assert (await shop.api("PUT", at, tree)).status == 200
    assert (await shop.api("GET", at)).tree["webhooks"][0]["matchConditions"] == second


@BOTH
async def test_match_conditions_that_do_not_compile_are_refused(shop: Workshop, plural: str) -> None:
    wrong = [{"name": "invalid-expression-1", "expression": "... [] bad expression"}]
    hook = changing(shop, plural) | {"matchConditions": wrong}
    refused = await shop.api("POST", f"{GROUP}/{plural}", {"metadata": {"name": "bad"}, "webhooks": [hook]})
    assert (refused.status, refused.tree["reason"]) == (422, "Invalid")
    assert "compilation failed" in refused.message


async def test_everything_is_changed_but_what_match_conditions_leave_out(shop: Workshop) -> None:
    conditions = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    hook = changing(shop, MUTATING) | {"matchConditions": conditions}
    await shop.register(MUTATING, "e2e-test-skipping", hook)
    skipped = await shop.config_map("skip-me", mutation_start="yes")
    assert skipped.tree["data"] == {"mutation-start": "yes"}
    changed = await shop.config_map("to-be-mutated", mutation_start="yes")
    assert changed.tree["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}


async def test_configurations_are_in_the_discovery_documents(api: RawClient) -> None:
    groups = {each["name"]: each for each in (await api("GET", "/apis")).tree["groups"]}
    group = "admissionregistration.k8s.io"
    for found in (groups[group], (await api("GET", f"/apis/{group}")).tree):
        assert {"groupVersion": f"{group}/v1", "version": "v1"} in found["versions"]
    resources = {each["name"] for each in (await api("GET", GROUP)).tree["resources"]}
    assert {VALIDATING, MUTATING} <= resources
