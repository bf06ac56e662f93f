"""What a server with a policy logs of requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from podkeeper.apiserver.audit.options import AuditOptions, LogOptions, OutletOptions
from podkeeper.testing.api_server import running_api_server
from podkeeper.testing.review_server import patching, running_review_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, resources: [{group: "", resources: [secrets]}]}
- {level: Request, verbs: [patch], omitManagedFields: true}
- {level: RequestResponse, resources: [{group: "", resources: [configmaps]}], omitManagedFields: true}
- {level: Metadata, nonResourceURLs: ["/version"], omitStages: []}
- {level: Metadata, resources: [{group: "", resources: [pods, "pods/*"]}]}
- {level: Metadata, resources: [{group: "", resources: [nodes, endpoints, serviceaccounts, "serviceaccounts/token"]}]}
- {level: None}
"""


class Log:
    """The log of one server: what has come since it was last read."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def news(self) -> list[dict[str, Any]]:
        lines = self._path.read_text().splitlines()
        found, self._read = lines[self._read :], len(lines)
        return [json.loads(line) for line in found]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audited(tmp_path_factory: pytest.TempPathFactory, make_client: Any) -> AsyncIterator[tuple[Any, Log]]:
    directory = tmp_path_factory.mktemp("audited")
    (directory / "policy.yaml").write_text(POLICY)
    path = directory / "audit.log"
    options = AuditOptions(directory / "policy.yaml", (OutletOptions(LogOptions(str(path))),))
    async with running_api_server(directory, audit=options) as server:
        log = Log(path)
        yield make_client(server), log


async def test_a_write_tells_who_what_and_what_came_of_it(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    body = {"metadata": {"name": "one"}, "data": {"a": "1"}}
    path = "/api/v1/namespaces/default/configmaps"
    reply = await api("POST", f"{path}?fieldManager=me", body, user_agent="tool/1", audit_id="my-own-id")
    assert reply.status == 201
    (event,) = log.news()
    assert reply.headers["audit-id"] == event["auditID"] == "my-own-id"
    assert (event["kind"], event["apiVersion"], event["level"]) == ("Event", "audit.k8s.io/v1", "RequestResponse")
    assert (event["stage"], event["verb"], event["userAgent"]) == ("ResponseComplete", "create", "tool/1")
    assert event["requestURI"] == f"{path}?fieldManager=me"
    assert event["user"] == {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}
    assert event["sourceIPs"] == ["127.0.0.1"]
    assert event["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "name": "one",
        "apiVersion": "v1",
    }
    assert event["responseStatus"] == {"metadata": {}, "code": 201}
    assert event["requestObject"] == body
    assert event["responseObject"]["data"] == {"a": "1"}
    assert "managedFields" not in event["responseObject"]["metadata"]
    assert event["annotations"] == {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
    assert event["requestReceivedTimestamp"] <= event["stageTimestamp"]


async def test_a_patch_is_logged_without_its_answer(audited: tuple[Any, Log]) -> None:
    api, log = audited
    path = "/api/v1/namespaces/default/configmaps/patched"
    await api("POST", path.rpartition("/")[0], {"metadata": {"name": "patched"}})
    log.news()
    await api("PATCH", path, {"data": {"b": "2"}}, content_type="application/merge-patch+json")
    (event,) = log.news()
    assert event["requestObject"] == {"data": {"b": "2"}}
    assert "responseObject" not in event


async def test_the_contents_of_secrets_stay_out_at_metadata(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    secret = {"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    await api("POST", "/api/v1/namespaces/default/secrets", secret)
    await api("GET", "/api/v1/namespaces/default/secrets/s")
    events = log.news()
    assert [event["verb"] for event in events] == ["create", "get"]
    assert "hunter2" not in json.dumps(events)
    assert "aHVudGVyMg" not in json.dumps(events)


async def test_what_is_refused_is_logged_with_its_reason(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    refused = await api("GET", "/api/v1/nodes", token="")
    assert refused.status == 403
    (event,) = log.news()
    assert event["user"] == {"username": "system:anonymous", "groups": ["system:unauthenticated"]}
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert event["responseStatus"]["code"] == 403
    assert event["responseStatus"]["reason"] == "Forbidden"
    assert event["responseStatus"]["message"] == refused.message


async def test_wrong_credentials_are_one_event(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    assert (await api("GET", "/api/v1/nodes", token="wrong")).status == 401
    (event,) = log.news()
    assert (event["stage"], event["user"], event["responseStatus"]["code"]) == ("ResponseStarted", {}, 401)


async def test_impersonation_names_both(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    await api("GET", "/api/v1/nodes", impersonate_user="alice")
    (event,) = log.news()
    assert event["user"]["username"] == "kubernetes-admin"
    assert event["impersonatedUser"] == {"username": "alice", "groups": ["system:authenticated"]}


async def test_a_watch_is_logged_when_it_begins_and_when_it_ends(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    assert (await api("GET", "/api/v1/pods?watch=1&timeoutSeconds=1")).status == 200
    events = log.news()
    assert [event["stage"] for event in events] == ["ResponseStarted", "ResponseComplete"]
    assert {event["auditID"] for event in events} == {events[0]["auditID"]}


async def test_what_no_rule_wants_is_not_logged(audited: tuple[Any, Log]) -> None:
    api, log = audited
    log.news()
    await api("GET", "/api/v1/services")
    await api("GET", "/version")
    assert [event["requestURI"] for event in log.news()] == ["/version"]


async def test_a_fault_of_the_server_is_a_panic(audited: tuple[Any, Log], monkeypatch: pytest.MonkeyPatch) -> None:
    api, log = audited
    log.news()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("podkeeper.apiserver.handlers.resources.list_options", broken)
        assert (await api("GET", "/api/v1/nodes")).status == 500
    (event,) = log.news()
    assert (event["stage"], event["responseStatus"]["code"]) == ("Panic", 500)


async def test_figures_count_events(audited: tuple[Any, Log]) -> None:
    api, _ = audited
    text = (await api("GET", "/metrics")).body.decode()
    assert "apiserver_audit_event_total " in text
    assert 'apiserver_audit_level_total{level="Metadata"}' in text


async def test_without_a_policy_requests_have_an_identity_all_the_same(api: Any) -> None:
    first, second = [(await api("GET", "/version")).headers["audit-id"] for _ in range(2)]
    assert len(first) == len(second) == 36
    assert first != second


async def test_what_webhooks_did_is_annotated(audited: tuple[Any, Log], tmp_path: Path) -> None:
    api, log = audited
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps", "pods"]}
    usual = {"rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore"}
    step = {"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}
    async with running_review_server(tmp_path) as hooks:
        hooks.answers["/m"] = patching(step)
        hooks.answers["/odd"] = lambda _: {"uid": "another"}
        for resource, paths in (("mutating", ("/m", "/odd")), ("validating", ("/odd",))):
            webhooks = [
                usual | {"name": f"{path[1:]}.example.com", "clientConfig": hooks.client(path)} for path in paths
            ]
            tree = {"metadata": {"name": "hooks"}, "webhooks": webhooks}
            made = await api("POST", f"/apis/admissionregistration.k8s.io/v1/{resource}webhookconfigurations", tree)
            assert made.status == 201, made.body
        log.news()
        await api("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "hooked"}})
        await api("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "nothing"}})
        for resource in ("mutating", "validating"):
            await api("DELETE", f"/apis/admissionregistration.k8s.io/v1/{resource}webhookconfigurations/hooks")
    found = {each["objectRef"]["resource"]: each["annotations"] for each in log.news() if "annotations" in each}
    mutated = {"configuration": "hooks", "webhook": "m.example.com", "mutated": True}
    told = found["configmaps"]
    assert json.loads(told["mutation.webhook.admission.k8s.io/round_0_index_0"]) == mutated
    assert json.loads(told["patch.webhook.admission.k8s.io/round_0_index_0"]) == {
        "configuration": "hooks",
        "webhook": "m.example.com",
        "patch": [step],
        "patchType": "JSONPatch",
    }
    assert told["failed-open.mutation.webhook.admission.k8s.io/round_0_index_1"] == "odd.example.com"
    assert told["failed-open.validating.webhook.admission.k8s.io/round_0_index_0"] == "odd.example.com"
    assert not any(key.startswith("patch.") for key in found["pods"])  # at level Metadata contents stay out


async def test_what_else_upstream_annotates(audited: tuple[Any, Log]) -> None:
    api, log = audited
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api("POST", accounts, {"metadata": {"name": "noted"}})
    log.news()
    made = await api("POST", f"{accounts}/noted/token", {"spec": {}})
    (event,) = log.news()
    claims = jwt.decode(made.tree["status"]["token"], options={"verify_signature": False})
    assert event["annotations"]["authentication.kubernetes.io/issued-credential-id"] == f"JTI={claims['jti']}"
    await api("GET", "/api/v1/endpoints")
    (event,) = log.news()
    assert event["annotations"]["k8s.io/deprecated"] == "true"
    pod = {"metadata": {"name": "free"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    log.news()
    assert (await api("POST", "/api/v1/namespaces/default/pods", pod)).status == 201
    (event,) = log.news()
    assert event["annotations"]["pod-security.kubernetes.io/enforce-policy"] == "privileged:latest"
