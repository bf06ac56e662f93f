"""Another API server behind this one, step by step as upstream's sample server is tried.

Its rights, its objects through the aggregator, and its APIService as an object.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
GROUP, VERSION = "wardle.example.com", "v1alpha1"
NAME = f"{VERSION}.{GROUP}"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MERGE = "application/merge-patch+json"
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
RESOURCE = {"name": "flunders", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": VERBS}


class SampleServer:
    """Keeps flunders in memory."""

    def __init__(self) -> None:
        self.flunders: dict[str, Tree] = {}

    def routes(self) -> list[web.RouteDef]:
        flunders = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/flunders"
        return [
            web.get(f"/apis/{GROUP}/{VERSION}", self.discover),
            web.get(flunders, self.list),
            web.post(flunders, self.create),
            web.delete(f"{flunders}/{{name}}", self.delete),
        ]

    async def discover(self, request: web.Request) -> web.Response:
        tree = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
        return web.json_response(tree | {"resources": [RESOURCE]})

    async def list(self, request: web.Request) -> web.Response:
        items = list(self.flunders.values())
        tree = {"kind": "FlunderList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"resourceVersion": "1"}}
        return web.json_response(tree | {"items": items})

    async def create(self, request: web.Request) -> web.Response:
        tree = await request.json()
        tree["metadata"] |= {"namespace": request.match_info["namespace"], "uid": "u1", "resourceVersion": "1"}
        self.flunders[tree["metadata"]["name"]] = tree
        return web.json_response(tree, status=201)

    async def delete(self, request: web.Request) -> web.Response:
        found = self.flunders.pop(request.match_info["name"], None)
        status = {"kind": "Status", "apiVersion": "v1", "status": "Success" if found else "Failure"}
        return web.json_response(status, status=200 if found else 404)


@pytest_asyncio.fixture(loop_scope="module")
async def sample(api: RawClient, namespace: Any) -> AsyncIterator[tuple[str, int]]:
    """The namespace in which a Service leads to a sample server, and its port."""
    where, server = await namespace(), api.server
    pair = KeyPair(server.directory / "sample.crt", server.directory / "sample.key")
    server.authority.issue_server(pair, "sample", [f"sample-api.{where}.svc"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    application = web.Application()
    application.add_routes(SampleServer().routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    # A Service whose name is an address: endpoints on this machine alone may not be written.
    spec = {"type": "ExternalName", "externalName": "127.0.0.1"}
    made = await api("POST", f"/api/v1/namespaces/{where}/services", {"metadata": {"name": "sample-api"}, "spec": spec})
    assert made.status == 201, made.body
    yield where, runner.addresses[0][1]
    await api("DELETE", f"{SERVICES}/{NAME}")
    await runner.cleanup()


async def test_a_sample_server_may_ask_who_somebody_is_and_what_they_may(
    api: RawClient, sample: tuple[str, int]
) -> None:
    where, _ = sample
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": where}
    delegator = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"}
    reader = {"apiGroup": "", "kind": "Role", "name": "extension-apiserver-authentication-reader"}
    for path, name, role in (
        (f"{RBAC}/clusterrolebindings", f"wardler:{where}:auth-delegator", delegator),
        (f"{RBAC}/namespaces/kube-system/rolebindings", "wardler-auth-reader", reader),
    ):
        made = await api("POST", path, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
        assert made.status == 201, made.body
    path = f"/api/v1/namespaces/{where}/serviceaccounts/default/token"
    token = (await api("POST", path, {"spec": {}})).tree["status"]["token"]
    published = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    assert "requestheader-client-ca-file" in (await api("GET", published, token=token)).tree["data"]
    attributes = {"group": GROUP, "resource": "flunders", "verb": "get", "namespace": where}
    review = {"spec": {"user": "somebody", "resourceAttributes": attributes}}
    asked = await api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review, token=token)
    assert (asked.status, asked.tree["status"]["allowed"]) == (201, False)
    asked = await api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}, token=token)
    assert asked.tree["status"]["user"]["username"] == f"system:serviceaccount:{where}:default"


def available(reply: Reply) -> bool:
    conditions = reply.tree.get("status", {}).get("conditions", ())
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


async def test_a_sample_server_serves_its_objects_through_the_aggregator(
    api: RawClient, sample: tuple[str, int]
) -> None:
    where, port = sample
    spec = {
        "service": {"namespace": where, "name": "sample-api", "port": port},
        "group": GROUP,
        "version": VERSION,
        "caBundle": base64.b64encode(api.server.authority.certificate_pem()).decode(),
        "groupPriorityMinimum": 2000,
        "versionPriority": 200,
    }
    made = await api("POST", SERVICES, {"metadata": {"name": NAME}, "spec": spec})
    assert made.status == 201, made.body
    at, flunders = f"{SERVICES}/{NAME}", f"/apis/{GROUP}/{VERSION}/namespaces/{where}/flunders"
    await api.until(at, available)
    tree = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": "dynamic-flunder"}}
    assert (await api("POST", flunders, tree)).status == 201
    assert len((await api("GET", flunders)).tree["items"]) == 1
    assert (await api("DELETE", f"{flunders}/dynamic-flunder")).status == 200
    assert (await api("GET", flunders)).tree["items"] == []
    await api.until("/apis", lambda reply: GROUP in {each["name"] for each in reply.tree["groups"]})
    resources = (await api("GET", f"/apis/{GROUP}/{VERSION}")).tree["resources"]
    assert [each["name"] for each in resources] == ["flunders"]

    assert available(await api("GET", f"{at}/status"))
    patched = await api("PATCH", at, {"spec": {"versionPriority": 400}}, content_type=MERGE)
    assert patched.tree["spec"]["versionPriority"] == 400
    assert NAME in {each["metadata"]["name"] for each in (await api("GET", SERVICES)).tree["items"]}
    labelled = await api("PATCH", at, {"metadata": {"labels": {"e2e-apiservice": "patched"}}}, content_type=MERGE)
    assert labelled.tree["metadata"]["labels"]["e2e-apiservice"] == "patched"
    version = labelled.tree["metadata"]["resourceVersion"]
    watch = await api.watch(f"{SERVICES}?watch=true&labelSelector=e2e-apiservice%3Dpatched&resourceVersion={version}")
    added = {"type": "StatusUpdated", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    status = 409
    while status == 409:
        found = (await api("GET", f"{at}/status")).tree
        found["status"]["conditions"].append(added)
        updated = await api("PUT", f"{at}/status", found)
        status = updated.status
    assert updated.status == 200, updated.body
    types: set[str] = set()
    while "StatusUpdated" not in types:
        types = {each["type"] for each in (await watch.next())["object"]["status"]["conditions"]}
    watch.close()
    status = 409
    while status == 409:
        found = (await api("GET", at)).tree
        found["metadata"]["labels"]["e2e-apiservice"] = "updated"
        status = (await api("PUT", at, found)).status
    assert status == 200
    gone = await api("DELETE", f"{SERVICES}?labelSelector=e2e-apiservice%3Dupdated")
    assert gone.status == 200, gone.body
    assert (await api("GET", at)).status == 404
    assert (await api("GET", flunders)).status == 404
