"""Policies in CEL that judge and change writes, over a whole API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import ListOptions

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULT = "/api/v1/namespaces/default"
GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIG_MAPS = {
    "resourceRules": [
        {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    ]
}


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def clean(api: Any) -> AsyncIterator[None]:
    yield
    for kind in ("validating", "mutating"):
        for resource in ("policybindings", "policies"):
            await api("DELETE", f"{GROUP}/{kind}admission{resource}")
    await api("DELETE", f"{DEFAULT}/configmaps")


async def install(api: Any, kind: str, spec: Any, **binding: Any) -> None:
    policy = {"metadata": {"name": "p"}, "spec": {"matchConstraints": CONFIG_MAPS} | spec}
    reply = await api("POST", f"{GROUP}/{kind}admissionpolicies", policy)
    assert reply.status == 201, reply.body
    actions = {"validationActions": ["Deny"]} if kind == "validating" else {}
    bound = {"metadata": {"name": "b"}, "spec": {"policyName": "p"} | actions | binding}
    reply = await api("POST", f"{GROUP}/{kind}admissionpolicybindings", bound)
    assert reply.status == 201, reply.body


async def validating(api: Any, *validations: Any, binding: Any = None, **spec: Any) -> None:
    await install(api, "validating", {"validations": list(validations)} | spec, **binding or {})


async def mutating(api: Any, *mutations: Any, **spec: Any) -> None:
    usual = {"mutations": list(mutations), "reinvocationPolicy": "Never"}
    await install(api, "mutating", usual | spec)


async def test_a_write_that_does_not_hold_is_refused(api: Any, make_config_map: Any) -> None:
    await validating(api, {"expression": "size(object.data) < 2", "message": "too much", "reason": "Forbidden"})
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("big", a="1", b="2"))
    cause = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: too much"
    assert (reply.status, reply.tree["reason"]) == (403, "Forbidden")
    assert reply.message == f'configmaps "big" is forbidden: {cause}'
    assert reply.tree["details"] == {"name": "big", "kind": "configmaps", "causes": [{"message": cause}]}
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("small", a="1"))).status == 201


async def test_without_a_message_the_expression_is_told(api: Any, make_config_map: Any) -> None:
    await validating(api, {"expression": "object.metadata.name != 'x'"})
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("x"))
    assert (reply.status, reply.tree["reason"]) == (422, "Invalid")
    assert reply.message.endswith("denied request: failed expression: object.metadata.name != 'x'")


async def test_messages_and_variables_are_expressions(api: Any, make_config_map: Any) -> None:
    variables = [
        {"name": "size", "expression": "size(object.data)"},
        {"name": "most", "expression": "variables.size > 100 ? 0 : 1"},
    ]
    said = "'of ' + string(variables.size) + ' only ' + string(variables.most) + ' in ' + namespaceObject.metadata.name"
    await validating(
        api,
        {"expression": "variables.size <= variables.most", "messageExpression": said},
        variables=variables,
    )
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("big", a="1", b="2"))
    assert reply.message.endswith("denied request: of 2 only 1 in default")


async def test_params_are_objects(api: Any, make_config_map: Any) -> None:
    await api("POST", f"{DEFAULT}/configmaps", make_config_map("limits", most="1"))
    reference = {"name": "limits", "parameterNotFoundAction": "Deny"}
    await validating(
        api,
        {"expression": "size(object.data) <= int(params.data.most)"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        binding={"paramRef": reference},
    )
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("big", a="1", b="2"))).status == 422
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("small", a="1"))).status == 201
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "bare"}})
    reply = await api("POST", "/api/v1/namespaces/bare/configmaps", make_config_map("any", a="1"))
    assert reply.message.endswith(
        "denied request: failed to configure binding: "
        "no params found for policy binding with `Deny` parameterNotFoundAction"
    )


async def test_a_failure_refuses_or_is_ignored(api: Any, make_config_map: Any) -> None:
    await validating(api, {"expression": "object.data.missing == 'x'"})
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("a", b="1"))
    assert reply.message.endswith(
        "denied request: expression 'object.data.missing == 'x'' resulted in error: no such key: missing"
    )
    path = f"{GROUP}/validatingadmissionpolicies/p"
    change = {"spec": {"failurePolicy": "Ignore"}}
    assert (await api("PATCH", path, change, content_type="application/merge-patch+json")).status == 200
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("a", b="1"))).status == 201


async def test_bindings_warn_instead_of_denying(api: Any, make_config_map: Any) -> None:
    await validating(api, {"expression": "false", "message": "no"}, binding={"validationActions": ["Warn", "Audit"]})
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("warned"))
    assert reply.status == 201
    text = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no"
    assert reply.headers["warning"] == f'299 - "{text}"'


async def test_conditions_and_exclusions_keep_writes_away(api: Any, make_config_map: Any) -> None:
    excluded = {
        "operations": ["*"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["configmaps"],
        "resourceNames": ["free"],
    }
    await validating(
        api,
        {"expression": "false"},
        matchConstraints=CONFIG_MAPS | {"excludeResourceRules": [excluded]},
        matchConditions=[{"name": "c", "expression": "object.metadata.name != 'also-free'"}],
    )
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("free"))).status == 201
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("also-free"))).status == 201
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("bound"))).status == 422


async def test_expressions_ask_what_the_user_may(api: Any, make_config_map: Any) -> None:
    check = "authorizer.group('').resource('secrets').namespace('default').check('delete').allowed()"
    await validating(api, {"expression": f"{check} && authorizer.requestResource.check('create').allowed()"})
    role = {"metadata": {"name": "maps"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await api("POST", f"{path}/roles", role)
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "mapper"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maps"}
    await api(
        "POST", f"{path}/rolebindings", {"metadata": {"name": "maps"}, "subjects": [subject], "roleRef": reference}
    )
    mapper = api.server.client_pair("mapper")
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("m"), pair=mapper)).status == 422
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("m"))).status == 201


def applied(expression: str) -> Any:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression: str) -> Any:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


async def test_a_policy_applies_a_part_of_the_object(api: Any, make_config_map: Any) -> None:
    await mutating(
        api,
        applied("Object{metadata: Object.metadata{labels: {'team': 'a' + object.metadata.name}}}"),
        applied("Object{data: {'more': object.metadata.labels.team}}"),
    )
    made = (await api("POST", f"{DEFAULT}/configmaps", make_config_map("x", own="1"))).tree
    assert made["metadata"]["labels"] == {"team": "ax"}
    assert made["data"] == {"own": "1", "more": "ax"}


async def test_a_policy_adds_a_container_by_its_name(api: Any, make_pod: Any) -> None:
    pods = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    sidecar = "Object.spec.containers{name: 'side', image: 'example/side:1'}"
    await mutating(
        api,
        applied(f"Object{{spec: Object.spec{{containers: [{sidecar}]}}}}"),
        matchConstraints={"resourceRules": [pods]},
    )
    reply = await api("POST", f"{DEFAULT}/pods", make_pod("joined"))
    assert reply.status == 201, reply.body
    containers = reply.tree["spec"]["containers"]
    assert sorted(each["name"] for each in containers) == ["main", "side"]
    assert all(each["terminationMessagePath"] for each in containers)


async def test_what_is_atomic_may_not_be_mutated(api: Any, make_pod: Any) -> None:
    pods = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    await mutating(
        api,
        applied("Object{spec: Object.spec{nodeSelector: {'a': 'b'}}}"),
        matchConstraints={"resourceRules": [pods]},
    )
    reply = await api("POST", f"{DEFAULT}/pods", make_pod("atomic"))
    assert (reply.status, reply.message) == (
        403,
        "policy 'p' with binding 'b' denied request: error applying patch: invalid ApplyConfiguration: "
        "may not mutate atomic arrays, maps or structs: .spec.nodeSelector",
    )


async def test_a_policy_patches(api: Any, make_config_map: Any) -> None:
    await mutating(
        api,
        patched(
            "[JSONPatch{op: 'add', path: '/metadata/labels', value: {'a': 'b'}},"
            " JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'c'},"
            " JSONPatch{op: 'remove', path: '/data/own'}]"
        ),
    )
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("x", own="1", kept="2"))
    assert reply.status == 201, reply.body
    assert reply.tree["data"] == {"kept": "2"}
    assert reply.tree["metadata"]["labels"] == {"a": "b", "a/b": "c"}


async def test_policies_are_never_judged_by_policies(api: Any) -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    await validating(api, {"expression": "false"}, matchConstraints={"resourceRules": [everything]})
    assert (await api("DELETE", f"{GROUP}/validatingadmissionpolicies/p")).status == 200


async def status_of(api: Any, name: str) -> Any:
    """The status of a policy as soon as it is written."""
    seen = asyncio.Event()
    found: list[Any] = []

    def take(events: Any) -> None:
        for event in events:
            tree = event.item.tree() if event.item is not None else {}
            if tree.get("metadata", {}).get("name") == name and "observedGeneration" in (tree.get("status") or {}):
                found.append(tree["status"])
                seen.set()

    verbs = api.server.registry.verbs("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
    watch = await verbs.watch("", ListOptions(), take, lambda: None)
    async with asyncio.timeout(10):
        await seen.wait()
    watch.stop()
    return found[-1]


async def test_types_are_checked_in_the_status(api: Any) -> None:
    deployments = {
        "operations": ["*"],
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "resources": ["deployments"],
    }
    await validating(
        api,
        {"expression": "object.spec.replicas > 1"},
        {"expression": "object.spec.replicaCount > 1", "messageExpression": "'of ' + object.spec.replicas"},
        matchConstraints={"resourceRules": [deployments]},
    )
    status = await status_of(api, "p")
    assert status["observedGeneration"] == 1
    first, second = status["typeChecking"]["expressionWarnings"]
    assert first["fieldRef"] == "spec.validations[1].expression"
    assert first["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replicaCount'")
    assert second["fieldRef"] == "spec.validations[1].messageExpression"


async def test_what_is_switched_off_has_no_objects(api: Any) -> None:
    found = await LiveObjects(api.server.registry).followed("admissionregistration.k8s.io", "switchedoff")
    assert (found.all(), found.get("x")) == ((), None)
