"""AuthorizationConfiguration: the order of authorizers, and webhooks among them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authorization.assembly import Authorization
from podkeeper.apiserver.authorization.configuration import ConfigurationError, Webhook, parse
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.authorization.webhook import WebhookAuthorizer
from podkeeper.apiserver.requestinfo import parse as request
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.clock import SystemClock
from podkeeper.foundation.http import HttpServer, Request, Response
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.tls import server_tls
from podkeeper.testing.api_server import ADVERTISED, running_api_server

JANE = UserInfo("jane", groups=("dev",))


def webhook(**changes: Any) -> dict[str, Any]:
    return {
        "timeout": "3s",
        "subjectAccessReviewVersion": "v1",
        "failurePolicy": "NoOpinion",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/k"},
    } | changes


def tree(*authorizers: dict[str, Any]) -> dict[str, Any]:
    kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    return kind | {"authorizers": list(authorizers)}


def hook(**changes: Any) -> dict[str, Any]:
    return {"type": "Webhook", "name": "hook", "webhook": webhook(**changes)}


class Judge:
    """A webhook on this machine; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.status: Any = {"allowed": False}
        self.asked: list[Any] = []
        #: What it answers about single resources.
        self.about: dict[str, Any] = {}

    async def answer(self, message: Request) -> Response:
        review = json.loads(message.body)
        self.asked.append(review["spec"])
        resource = (review["spec"].get("resourceAttributes") or {}).get("resource")
        body = json.dumps(review | {"status": self.about.get(resource, self.status)}).encode()
        return Response(200, b"Content-Type: application/json\r\n", body)


@pytest.fixture
async def judge(tmp_path: Path) -> AsyncIterator[Judge]:
    found, authority = Judge(), Authority.open(tmp_path, "judge-ca")
    pair = KeyPair(tmp_path / "judge.crt", tmp_path / "judge.key")
    authority.issue_server(pair, "judge", ["127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server, ready = HttpServer(found.answer), asyncio.Event()
        serving = asyncio.create_task(server.serve(listener, server_tls(str(pair.certificate), str(pair.key)), ready))
        await ready.wait()
        cluster = {
            "server": f"https://127.0.0.1:{listener.getsockname()[1]}/authorize",
            "certificate-authority-data": base64.b64encode(authority.certificate_pem()).decode(),
        }
        config = {
            "clusters": [{"name": "j", "cluster": cluster}],
            "users": [{"name": "j", "user": {}}],
            "contexts": [{"name": "j", "context": {"cluster": "j", "user": "j"}}],
            "current-context": "j",
        }
        (tmp_path / "judge.kubeconfig").write_text(json.dumps(config))
        yield found
        await server.stop(0.1)
        serving.cancel()
        await asyncio.wait([serving])


@pytest.mark.parametrize(
    ("status", "opinion"),
    [
        ({"allowed": True, "reason": "fine"}, (True, "fine")),
        ({"allowed": False, "reason": "who?"}, (None, "who?")),
        ({"allowed": False, "denied": True, "reason": "no"}, (False, "no")),
        ({"allowed": True, "denied": True}, (None, "")),
        ("nonsense", (None, "")),
    ],
)
async def test_what_a_webhook_says(judge: Judge, tmp_path: Path, status: Any, opinion: Any) -> None:
    judge.status = status
    asked = WebhookAuthorizer("j", Webhook(tmp_path / "judge.kubeconfig", 3.0, False), SystemClock())
    info = request("GET", b"/api/v1/namespaces/a/pods?labelSelector=x%3Dy")
    assert await asked.opinion(JANE, info) == opinion
    (spec,) = judge.asked
    assert (spec["user"], spec["groups"]) == ("jane", ["dev"])
    assert spec["resourceAttributes"]["labelSelector"] == {"rawSelector": "x=y"}


async def test_answers_are_remembered_for_as_long_as_told(judge: Judge, tmp_path: Path) -> None:
    told = Webhook(tmp_path / "judge.kubeconfig", 3.0, False, refused_lifetime=0.0)
    asked = WebhookAuthorizer("j", told, SystemClock())
    for status, count in (({"allowed": False}, 2), ({"allowed": True}, 3)):
        judge.status = status
        for _ in range(2):
            await asked.opinion(JANE, request("GET", b"/metrics"))
        assert len(judge.asked) == count


async def test_conditions_choose_what_is_asked(judge: Judge, tmp_path: Path) -> None:
    text = "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'a'"
    told = Webhook(tmp_path / "judge.kubeconfig", 3.0, True, conditions=(text, "'dev' in request.groups"))
    asked = WebhookAuthorizer("j", told, SystemClock())
    await asked.opinion(JANE, request("GET", b"/api/v1/namespaces/b/pods"))
    await asked.opinion(JANE, request("GET", b"/metrics"))
    assert judge.asked == []
    await asked.opinion(JANE, request("GET", b"/api/v1/namespaces/a/pods"))
    assert len(judge.asked) == 1
    failing = Webhook(tmp_path / "judge.kubeconfig", 3.0, True, conditions=("request.nonsense == 'x'",))
    found = await WebhookAuthorizer("j", failing, SystemClock()).opinion(JANE, request("GET", b"/metrics"))
    assert found == (False, "")
    with pytest.raises(ConfigurationError, match="matchConditions"):
        WebhookAuthorizer("j", Webhook(tmp_path / "judge.kubeconfig", 3.0, True, conditions=("1 +",)), SystemClock())


@pytest.mark.parametrize("deny", [True, False])
async def test_a_webhook_that_is_away(tmp_path: Path, judge: Judge, deny: bool) -> None:
    path = tmp_path / "away"
    path.write_text((tmp_path / "judge.kubeconfig").read_text().replace("https://127.0.0.1:", "https://127.0.0.1:1/"))
    found = await WebhookAuthorizer("j", Webhook(path, 3.0, deny), SystemClock()).opinion(
        JANE, request("GET", b"/metrics")
    )
    assert found == (False if deny else None, "")


async def test_a_server_asks_in_the_order_of_its_file(tmp_path: Path, judge: Judge, make_client: Any) -> None:
    own = webhook(
        connectionInfo={"type": "KubeConfigFile", "kubeConfigFile": str(tmp_path / "judge.kubeconfig")},
        cacheAuthorizedRequests=False,
        cacheUnauthorizedRequests=False,
    )
    path = tmp_path / "authorization.yaml"
    hooked = {"type": "Webhook", "name": "hook", "webhook": own}
    path.write_text(json.dumps(tree(hooked, {"type": "Node", "name": "n"}, {"type": "RBAC", "name": "r"})))
    async with running_api_server(tmp_path / "server", authorization=path) as server:
        client = make_client(server)
        pair = server.client_pair("jane")
        for status, code in (
            ({"allowed": True}, 200),
            ({"allowed": False, "denied": True, "reason": "not today"}, 403),
            ({"allowed": False}, 403),
        ):
            judge.status = status
            reply = await client("GET", "/api/v1/pods", pair=pair)
            assert reply.status == code
        figures = (await client("GET", "/metrics")).body.decode()
        for result in ("denied", "no-opinion"):
            assert f'authorization_attempts_total{{result="{result}"}} 1\n' in figures
        judge.status = {"allowed": False, "denied": True, "reason": "not today"}
        review = {"spec": {"user": "jane", "nonResourceAttributes": {"path": "/version", "verb": "get"}}}
        reply = await client("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        assert reply.tree["status"] == {"allowed": False, "denied": True, "reason": "not today"}
        judge.status = {"allowed": False}
        assert (await client("GET", "/version", pair=pair)).status == 200  # RBAC comes after it


@pytest.mark.parametrize(
    ("authorizers", "why"),
    [
        ((), "at least one authorization mode"),
        (({"type": "ABAC", "name": "a"},), 'Unsupported value: "ABAC"'),
        (({"type": "RBAC"},), "name: Required value"),
        (({"type": "RBAC", "name": "a"}, {"type": "RBAC", "name": "b"}), 'Duplicate value: "RBAC"'),
        (({"type": "RBAC", "name": "a"}, {"type": "Node", "name": "a"}), 'Duplicate value: "a"'),
        (({"type": "Webhook", "name": "a"},), "required when type=Webhook"),
        (({"type": "RBAC", "name": "a", "webhook": {}},), "may only be specified when type=Webhook"),
        ((hook(timeout="1m"),), "must be > 0s and <= 30s"),
        ((hook(failurePolicy="Allow"),), 'supported values: "NoOpinion", "Deny"'),
        ((hook(subjectAccessReviewVersion=None),), "subjectAccessReviewVersion: Required"),
        ((hook(connectionInfo={"type": "InClusterConfig"}),), "Unsupported value"),
        ((hook(matchConditions=[{"expression": "true"}]),), "matchConditionSubjectAccessReviewVersion: Required"),
        ((hook(authorizedTTL="soon"),), "no duration"),
    ],
)
def test_a_wrong_file_is_refused_in_words(authorizers: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse(tree(*authorizers))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        Authorization(RbacIndex(), nodes(), tmp_path / "nowhere", SystemClock())


def nodes() -> Any:
    """A node authorizer that nobody asks."""
    return None


def uncached(tmp_path: Path) -> dict[str, Any]:
    """The webhook of this machine, asked each time."""
    connection = {"type": "KubeConfigFile", "kubeConfigFile": str(tmp_path / "judge.kubeconfig")}
    own = webhook(connectionInfo=connection, cacheAuthorizedRequests=False, cacheUnauthorizedRequests=False)
    return {"type": "Webhook", "name": "hook", "webhook": own}


USUAL = ({"type": "Node", "name": "n"}, {"type": "RBAC", "name": "r"})
HASH = "sha256:" + hashlib.sha256(ADVERTISED.encode()).hexdigest()


async def test_the_file_is_followed_while_serving(
    tmp_path: Path, judge: Judge, make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podkeeper.foundation.watched_file.PERIOD", 0.01)
    path, hooked = tmp_path / "authorization.yaml", uncached(tmp_path)
    path.write_text(json.dumps(tree(*USUAL)))
    async with running_api_server(tmp_path / "server", authorization=path) as server:
        client, pair = make_client(server), server.client_pair("jane")

        async def told(name: str) -> float:
            text = (await client("GET", "/metrics")).body.decode()
            found = [line for line in text.splitlines() if line.startswith(name)]
            return float(found[0].rpartition(" ")[2]) if found else 0.0

        async def until(status: str, count: int) -> None:
            name = "apiserver_authorization_config_controller_automatic_reloads_total"
            async with asyncio.timeout(20):
                while await told(f'{name}{{apiserver_id_hash="{HASH}",status="{status}"}}') < count:
                    pass

        judge.status = {"allowed": True}
        assert (await client("GET", "/api/v1/pods", pair=pair)).status == 403
        path.write_text(json.dumps(tree(hooked, *USUAL)))
        await until("success", 1)
        assert (await client("GET", "/api/v1/pods", pair=pair)).status == 200
        assert await told('apiserver_authorization_decisions_total{decision="allowed",name="hook",type="Webhook"}') == 1
        assert await told('apiserver_authorization_webhook_evaluations_total{name="hook",result="success"}') == 1
        # Node and RBAC can be neither added nor removed, nor can nonsense be obeyed.
        for count, wrong in enumerate((json.dumps(tree(hooked)), "{"), start=1):
            path.write_text(wrong)
            await until("failure", count)
            assert (await client("GET", "/api/v1/pods", pair=pair)).status == 200
        rules = {"spec": {"namespace": "default"}}
        review = (await client("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", rules, pair=pair)).tree
        assert review["status"]["incomplete"] is True
        assert review["status"]["evaluationError"] == "webhook authorizer does not support user rule resolution"
        path.write_text(json.dumps(tree(*USUAL)))
        await until("success", 2)
        assert (await client("GET", "/api/v1/pods", pair=pair)).status == 403


async def test_expressions_ask_every_authorizer(tmp_path: Path, judge: Judge, make_client: Any) -> None:
    path = tmp_path / "authorization.yaml"
    path.write_text(json.dumps(tree(*USUAL, uncached(tmp_path))))
    check = "authorizer.group('example.com').resource('breads').namespace('default').check('bake')"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": f"{check}.allowed() || {check}.reason() == 'in a hurry'"}],
    }
    policy = {"metadata": {"name": "bakers"}, "spec": spec}
    binding = {"metadata": {"name": "b"}, "spec": {"policyName": "bakers", "validationActions": ["Deny"]}}
    async with running_api_server(tmp_path / "server", authorization=path) as server:
        client, pair = make_client(server), server.client_pair("jane")
        group = "/apis/admissionregistration.k8s.io/v1"
        for resource, body in (("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)):
            assert (await client("POST", f"{group}/{resource}", body)).status == 201
        for number, (status, code) in enumerate(
            (
                ({"allowed": True}, 201),
                ({"allowed": False, "reason": "in a hurry"}, 201),
                ({"allowed": False, "denied": True, "reason": "no oven"}, 422),
            )
        ):
            judge.about = {"breads": status}
            judge.status = {"allowed": True}
            body = {"metadata": {"name": f"c{number}"}}
            reply = await client("POST", "/api/v1/namespaces/default/configmaps", body, pair=pair)
            assert reply.status == code, reply.body
        asked = [each["resourceAttributes"] for each in judge.asked if "resourceAttributes" in each]
        wanted = {"verb": "bake", "group": "example.com", "resource": "breads", "namespace": "default"}
        assert [each for each in asked if each.items() >= wanted.items()]
