"""Webhooks that change and judge writes, over a whole API server and an HTTPS server that answers reviews."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.http import Response
from podkeeper.testing.review_server import Answer, ReviewServer, patching, running_review_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULT = "/api/v1/namespaces/default"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"


def allow(request: Any) -> Any:
    return {"allowed": True}


def setting(key: str, value: str) -> Answer:
    return patching({"op": "add", "path": f"/data/{key}", "value": value})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReviewServer]:
    async with running_review_server(tmp_path_factory.mktemp("webhooks"), "hook.default.svc") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def hooks(server: ReviewServer, api: Any) -> AsyncIterator[ReviewServer]:
    yield server
    for resource in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        await api("DELETE", f"{CONFIGURATIONS}/{resource}")
    await api("DELETE", f"{DEFAULT}/configmaps")
    server.answers.clear()
    server.asked.clear()


def hook(name: str, client: Any, **fields: Any) -> Any:
    rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    usual = {"rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail"}
    return {"name": name, "clientConfig": client} | usual | fields


async def install(api: Any, resource: str, name: str, *webhooks: Any) -> None:
    reply = await api("POST", f"{CONFIGURATIONS}/{resource}", {"metadata": {"name": name}, "webhooks": list(webhooks)})
    assert reply.status == 201, reply.body


async def mutating(api: Any, name: str, *webhooks: Any) -> None:
    await install(api, "mutatingwebhookconfigurations", name, *webhooks)


async def validating(api: Any, name: str, *webhooks: Any) -> None:
    await install(api, "validatingwebhookconfigurations", name, *webhooks)


async def test_a_webhook_changes_what_is_created(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    hooks.answers["/m"] = setting("added", "1")
    await mutating(api, "m", hook("m.example.com", hooks.client("/m")))
    made = await api("POST", f"{DEFAULT}/configmaps", make_config_map("changed", own="2"))
    assert made.tree["data"] == {"own": "2", "added": "1"}
    _, asked = hooks.asked[-1]
    assert (asked["operation"], asked["namespace"], asked["dryRun"]) == ("CREATE", "default", False)
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert asked["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert asked["object"]["data"] == {"own": "2"}
    assert asked["oldObject"] is None
    assert asked["options"]["kind"] == "CreateOptions"
    assert asked["userInfo"]["username"]


async def test_webhooks_are_asked_by_name_each_seeing_the_changes_before(
    api: Any, hooks: ReviewServer, make_config_map: Any
) -> None:
    for key in "abc":
        hooks.answers[f"/{key}"] = setting(key, "1")
    await mutating(api, "second", hook("a.example.com", hooks.client("/a")))
    await mutating(api, "first", hook("c.example.com", hooks.client("/c")), hook("b.example.com", hooks.client("/b")))
    await api("POST", f"{DEFAULT}/configmaps", make_config_map("ordered", x="1"))
    assert hooks.paths() == ["/c", "/b", "/a"]
    assert sorted(hooks.asked[-1][1]["object"]["data"]) == ["b", "c", "x"]


async def test_who_wants_it_is_asked_again_after_a_later_change(
    api: Any, hooks: ReviewServer, make_config_map: Any
) -> None:
    def early(request: Any) -> Any:
        return allow(request)

    hooks.answers["/early"], hooks.answers["/late"] = early, setting("late", "1")
    again = hook("early.example.com", hooks.client("/early"), reinvocationPolicy="IfNeeded")
    await mutating(api, "m", again, hook("late.example.com", hooks.client("/late")))
    await api("POST", f"{DEFAULT}/configmaps", make_config_map("again", x="1"))
    assert hooks.paths() == ["/early", "/late", "/early"]
    assert "late" in hooks.asked[-1][1]["object"]["data"]


async def test_a_refusal_is_the_webhooks_own(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    hooks.answers["/v"] = lambda _: {"allowed": False, "status": {"message": "no such luck", "code": 402}}
    hooks.answers["/quiet"] = lambda _: {"allowed": False}
    await validating(api, "v", hook("v.example.com", hooks.client("/v")))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("refused"))
    assert (reply.status, reply.message) == (402, 'admission webhook "v.example.com" denied the request: no such luck')
    await api("DELETE", f"{CONFIGURATIONS}/validatingwebhookconfigurations/v")
    await validating(api, "q", hook("q.example.com", hooks.client("/quiet")))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("refused"))
    assert (reply.status, reply.message) == (
        400,
        'admission webhook "q.example.com" denied the request without explanation',
    )


async def test_a_webhook_that_cannot_be_reached_fails_or_is_ignored(
    api: Any, hooks: ReviewServer, make_config_map: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = {"url": f"https://localhost:{port}/x", "caBundle": hooks.bundle}
    await validating(api, "v", hook("v.example.com", nobody, timeoutSeconds=3))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("alone"))
    why = f'Post "https://localhost:{port}/x?timeout=3s": dial tcp localhost:{port}: connect: connection refused'
    text = f'failed calling webhook "v.example.com": failed to call webhook: {why}'
    assert (reply.status, reply.message) == (500, f"Internal error occurred: {text}")
    assert reply.tree["details"]["causes"] == [{"message": text}]
    await api("DELETE", f"{CONFIGURATIONS}/validatingwebhookconfigurations/v")
    await validating(api, "v", hook("v.example.com", nobody, failurePolicy="Ignore"))
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("alone"))).status == 201


async def test_a_slow_webhook_has_its_seconds(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    never = asyncio.Event()

    async def slow(request: Any) -> Any:
        await never.wait()

    hooks.answers["/slow"] = slow
    await validating(api, "v", hook("v.example.com", hooks.client("/slow"), timeoutSeconds=1))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("slow"))
    never.set()
    assert reply.message.endswith(f'Post "https://localhost:{hooks.port}/slow?timeout=1s": context deadline exceeded')


async def test_a_certificate_of_somebody_else_is_not_trusted(
    api: Any, hooks: ReviewServer, make_config_map: Any, tmp_path: Path
) -> None:
    other = base64.b64encode(Authority.open(tmp_path, "other", "other").certificate_pem()).decode()
    await validating(api, "v", hook("v.example.com", hooks.client("/v") | {"caBundle": other}))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("distrusted"))
    assert "tls: failed to verify certificate: x509: certificate signed by unknown authority" in reply.message


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"allowed": True, "uid": "other"}, "expected response.uid="),
        ({"allowed": True, "patch": "W10="}, "webhook returned response.patch but not response.patchType"),
        ({"allowed": True, "patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        (
            {"allowed": True, "patch": "W10=", "patchType": "Merge"},
            'webhook returned invalid response.patchType of "Merge"',
        ),
    ],
)
async def test_answers_that_break_the_rules(
    api: Any, hooks: ReviewServer, make_config_map: Any, answer: Any, text: str
) -> None:
    hooks.answers["/m"] = lambda _: answer
    await mutating(api, "m", hook("m.example.com", hooks.client("/m")))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("broken"))
    assert reply.status == 500
    head = 'Internal error occurred: failed calling webhook "m.example.com": received invalid webhook response: '
    assert reply.message.startswith(head + text)


async def test_an_error_of_the_webhooks_server_is_quoted(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    hooks.answers["/v"] = lambda _: Response(500, b"Content-Type: text/plain\r\n", b"broken")
    await validating(api, "v", hook("v.example.com", hooks.client("/v")))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("quoted"))
    assert reply.message.endswith(
        'failed to call webhook: an error on the server ("broken") has prevented the request from succeeding'
    )


async def test_a_dry_run_needs_webhooks_without_side_effects(
    api: Any, hooks: ReviewServer, make_config_map: Any
) -> None:
    hooks.answers["/m"] = setting("added", "1")
    await mutating(api, "m", hook("m.example.com", hooks.client("/m"), sideEffects="NoneOnDryRun"))
    path = f"{DEFAULT}/configmaps?dryRun=All"
    made = await api("POST", path, make_config_map("dry", x="1"))
    assert made.tree["data"] == {"x": "1", "added": "1"}
    assert hooks.asked[-1][1]["dryRun"] is True


async def test_selectors_choose_by_labels_of_the_object_and_its_namespace(
    api: Any, hooks: ReviewServer, make_config_map: Any
) -> None:
    hooks.answers["/v"] = lambda _: {"allowed": False}
    labels = {"matchLabels": {"judged": "yes"}}
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), objectSelector=labels))
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("free"))).status == 201
    labelled = make_config_map("bound")
    labelled["metadata"]["labels"] = {"judged": "yes"}
    assert (await api("POST", f"{DEFAULT}/configmaps", labelled)).status == 400
    await api("DELETE", f"{CONFIGURATIONS}/validatingwebhookconfigurations/v")
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), namespaceSelector=labels))
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("free2"))).status == 201
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "judged", "labels": {"judged": "yes"}}})
    assert (await api("POST", "/api/v1/namespaces/judged/configmaps", make_config_map("bound"))).status == 400


async def test_conditions_keep_writes_away(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    hooks.answers["/v"] = lambda _: {"allowed": False}
    judged = [
        {"name": "named", "expression": "object.metadata.name.startsWith('judged')"},
        {"name": "me", "expression": "request.userInfo.username != 'nobody' && request.operation == 'CREATE'"},
    ]
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), matchConditions=judged))
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("free"))).status == 201
    assert (await api("POST", f"{DEFAULT}/configmaps", make_config_map("judged"))).status == 400
    await api("DELETE", f"{CONFIGURATIONS}/validatingwebhookconfigurations/v")
    failing = [{"name": "fails", "expression": "object.data.missing == 'x'"}]
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), matchConditions=failing))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("other"))
    assert (reply.status, reply.message) == (
        403,
        "configmaps \"other\" is forbidden: expression 'object.data.missing == 'x'' resulted in error: "
        "no such key: missing",
    )


async def test_deletions_and_subresources_are_judged(api: Any, hooks: ReviewServer, make_pod: Any) -> None:
    hooks.answers["/v"] = allow
    rule = {
        "operations": ["DELETE", "CONNECT", "UPDATE", "CREATE"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["pods", "pods/exec", "pods/status", "pods/eviction", "pods/binding"],
    }
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), rules=[rule]))
    await api("POST", f"{DEFAULT}/pods", make_pod("judged"))
    binding = {"metadata": {"name": "judged"}, "target": {"kind": "Node", "name": "n1"}}
    await api("POST", f"{DEFAULT}/pods/judged/binding", binding)
    status = {"status": {"phase": "Running"}}
    await api("PATCH", f"{DEFAULT}/pods/judged/status", status, content_type="application/merge-patch+json")
    await api("POST", f"{DEFAULT}/pods/judged/exec?command=ls&stdout=true&container=main")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "judged"}}
    await api("POST", f"{DEFAULT}/pods/judged/eviction", eviction)
    await api("DELETE", f"{DEFAULT}/pods/judged?gracePeriodSeconds=0")
    seen = [(each["operation"], each.get("subResource", ""), each["kind"]["kind"]) for _, each in hooks.asked]
    assert seen[:4] == [
        ("CREATE", "", "Pod"),
        ("CREATE", "binding", "Binding"),
        ("UPDATE", "status", "Pod"),
        ("CONNECT", "exec", "PodExecOptions"),
    ]
    assert ("CREATE", "eviction", "Eviction") in seen
    assert seen[-1] == ("DELETE", "", "Pod")
    _, deletion = hooks.asked[-1]
    assert (deletion["object"], deletion["oldObject"]["metadata"]["name"]) == (None, "judged")
    assert deletion["options"]["gracePeriodSeconds"] == 0
    _, connection = hooks.asked[3]
    assert connection["object"]["command"] == ["ls"]


async def test_a_name_is_generated_after_the_changes(api: Any, hooks: ReviewServer) -> None:
    hooks.answers["/m"], hooks.answers["/v"] = setting("added", "1"), allow
    await mutating(api, "m", hook("m.example.com", hooks.client("/m")))
    await validating(api, "v", hook("v.example.com", hooks.client("/v")))
    body = {"metadata": {"generateName": "some-"}, "data": {"x": "1"}}
    made = (await api("POST", f"{DEFAULT}/configmaps", body)).tree["metadata"]["name"]
    (_, changing), (_, judging) = hooks.asked
    assert ("name" in changing, "name" in changing["object"]["metadata"]) == (False, False)
    assert (judging["name"], judging["object"]["metadata"]["name"]) == (made, made)


async def test_a_scale_is_judged_and_changed_as_one(api: Any, hooks: ReviewServer, make_pod: Any) -> None:
    hooks.answers["/m"] = patching({"op": "replace", "path": "/spec/replicas", "value": 2})
    hooks.answers["/v"] = allow
    rule = {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]}
    await mutating(api, "m", hook("m.example.com", hooks.client("/m"), rules=[rule]))
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), rules=[rule]))
    template = make_pod("t") | {"metadata": {"labels": {"a": "b"}}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "replicas": 1}
    path = "/apis/apps/v1/namespaces/default/deployments"
    await api("POST", path, {"metadata": {"name": "scaled"}, "spec": spec})
    merge = "application/merge-patch+json"
    reply = await api("PATCH", f"{path}/scaled/scale", {"spec": {"replicas": 5}}, content_type=merge)
    assert (reply.status, reply.tree["spec"]["replicas"]) == (200, 2), reply.body
    assert (await api("GET", f"{path}/scaled")).tree["spec"]["replicas"] == 2
    (_, first), (_, second) = hooks.asked
    assert first["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert (first["oldObject"]["spec"], first["object"]["spec"]) == ({"replicas": 1}, {"replicas": 5})
    assert second["object"]["spec"] == {"replicas": 2}


async def test_an_equivalent_version_is_converted(api: Any, hooks: ReviewServer) -> None:
    hooks.answers["/v"] = allow
    rule = {
        "operations": ["CREATE"],
        "apiGroups": ["autoscaling"],
        "apiVersions": ["v2"],
        "resources": ["horizontalpodautoscalers"],
    }
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), rules=[rule]))
    scaler = {
        "metadata": {"name": "old"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 50,
        },
    }
    path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    assert (await api("POST", path, scaler)).status == 201
    _, asked = hooks.asked[-1]
    assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v2", "v1")
    assert asked["object"]["spec"]["metrics"][0]["type"] == "Resource"


async def test_configurations_themselves_are_never_judged(api: Any, hooks: ReviewServer) -> None:
    hooks.answers["/v"] = lambda _: {"allowed": False}
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    await validating(api, "v", hook("v.example.com", hooks.client("/v"), rules=[everything]))
    assert (await api("DELETE", f"{CONFIGURATIONS}/validatingwebhookconfigurations/v")).status == 200
    assert hooks.asked == []


async def test_a_webhook_behind_a_service(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    hooks.answers["/m"] = setting("added", "1")
    client = {"service": {"namespace": "default", "name": "hook", "path": "/m"}, "caBundle": hooks.bundle}
    await mutating(api, "m", hook("m.example.com", client))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("served", x="1"))
    assert reply.message.endswith('Post "https://hook.default.svc:443/m?timeout=10s": service "hook" not found')
    service = {"metadata": {"name": "hook"}, "spec": {"ports": [{"name": "https", "port": 443}]}}
    await api("POST", f"{DEFAULT}/services", service)
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("served", x="1"))
    assert reply.message.endswith('no endpoints available for service "hook"')
    endpoints = {
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": hooks.port}],
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
    }
    reply = await api("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", endpoints)
    assert reply.status == 201, reply.body


async def test_warnings_reach_the_client(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    hooks.answers["/v"] = lambda _: {"allowed": True, "warnings": ["mind the gap"]}
    await validating(api, "v", hook("v.example.com", hooks.client("/v")))
    reply = await api("POST", f"{DEFAULT}/configmaps", make_config_map("warned"))
    assert "mind the gap" in reply.headers["warning"]


async def _figures(api: Any) -> dict[str, float]:
    lines = [line for line in (await api("GET", "/metrics")).body.decode().splitlines() if "_webhook_" in line]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def test_each_webhook_is_counted(api: Any, hooks: ReviewServer, make_config_map: Any) -> None:
    before = await _figures(api)
    hooks.answers["/m"] = allow
    hooks.answers["/no"] = lambda _: {"allowed": False, "status": {"code": 402}}
    hooks.answers["/odd"] = lambda _: {"uid": "another"}
    await mutating(api, "m", hook("m.count.io", hooks.client("/m")))
    await validating(
        api,
        "v",
        hook("no.count.io", hooks.client("/no")),
        hook("odd.count.io", hooks.client("/odd"), failurePolicy="Ignore"),
    )
    await api("POST", f"{DEFAULT}/configmaps", make_config_map("counted"))
    after = await _figures(api)
    prefix = "apiserver_admission_webhook"
    requests = (("200", "m", "false", "admit"), ("402", "no", "true", "validate"), ("503", "odd", "false", "validate"))
    for code, name, rejected, step in requests:
        tail = f'name="{name}.count.io",operation="CREATE",rejected="{rejected}",type="{step}"'
        for sample in (
            f'{prefix}_request_total{{code="{code}",{tail}}}',
            f"{prefix}_admission_duration_seconds_count{{{tail}}}",
        ):
            assert after[sample] - before.get(sample, 0) == 1
    tail = 'name="no.count.io",operation="CREATE",rejection_code="402",type="validate"'
    assert after[f'{prefix}_rejection_count{{error_type="no_error",{tail}}}'] == 1
    assert after[f'{prefix}_fail_open_count{{name="odd.count.io",type="validate"}}'] == 1
