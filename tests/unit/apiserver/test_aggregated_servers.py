"""Another API server behind this one: availability, requests as the user, discovery of both."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.aggregation import discovery
from podkeeper.apiserver.aggregation.discovery import Said
from podkeeper.apiserver.aggregation.front_proxy import user_headers
from podkeeper.apiserver.aggregation.remotes import Remote, fault
from podkeeper.foundation.keyfiles import KeyPair

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "v1.wardle.test"
OBJECTS = "/apis/apiregistration.k8s.io/v1/apiservices"
RESOURCES = [
    {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": ["get", "list"]},
    {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]},
]


def remote(**changes: Any) -> Remote:
    values: dict[str, Any] = {
        "name": NAME,
        "group": "wardle.test",
        "version": "v1",
        "namespace": "ns",
        "service": "api",
        "port": 443,
        "ca": "",
        "insecure": False,
        "group_priority": 1000,
        "version_priority": 15,
    }
    return Remote(**values | changes)


SERVICE = {"spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 443}]}}
SLICE = {"ports": [{"name": "https", "port": 8443}], "endpoints": [{"addresses": ["10.0.0.1"]}]}


@pytest.mark.parametrize(
    ("service", "slices", "reason", "message"),
    [
        (None, [], "ServiceNotFound", 'service/api in "ns" is not present'),
        ({"spec": {"ports": []}}, [], "ServicePortError", 'service/api in "ns" is not listening on port 443'),
        (SERVICE, [], "EndpointsNotFound", 'cannot find endpointslices for service/api in "ns"'),
        (
            SERVICE,
            [SLICE | {"endpoints": []}],
            "MissingEndpoints",
            'endpointslices for service/api in "ns" have no addresses with port name "https"',
        ),
    ],
)
async def test_why_a_server_need_not_be_asked(service: Any, slices: Any, reason: str, message: str) -> None:
    found = fault(remote(), service, slices)
    assert found is not None
    assert (found.status, found.reason, found.message) == ("False", reason, message)
    assert fault(remote(), SERVICE, [SLICE]) is None


async def test_the_user_as_headers() -> None:
    user = UserInfo("bob", uid="7", groups=("a", "b"), extra={"example.com/who else": ("x", "y")})
    assert user_headers(user) == [
        (b"X-Remote-User", b"bob"),
        (b"X-Remote-Uid", b"7"),
        (b"X-Remote-Group", b"a"),
        (b"X-Remote-Group", b"b"),
        (b"X-Remote-Extra-example.com%2Fwho%20else", b"x"),
        (b"X-Remote-Extra-example.com%2Fwho%20else", b"y"),
    ]


async def test_what_was_said_last_is_kept_and_stale() -> None:
    beta = remote(name="v1beta1.wardle.test", version="v1beta1", version_priority=9)
    listed = discovery.converted({"resources": RESOURCES}, remote())
    [group] = discovery.aggregated([beta, remote()], {NAME: Said(listed, fresh=False)})
    assert {each["version"]: each["freshness"] for each in group["versions"]} == {"v1": "Stale", "v1beta1": "Stale"}
    [flunders] = group["versions"][1]["resources"]
    assert (flunders["resource"], flunders["scope"]) == ("flunders", "Namespaced")
    assert [each["subresource"] for each in flunders["subresources"]] == ["status"]


META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SPEC = {
    "swagger": "2.0",
    "info": {"title": "wardle", "version": "v0"},
    "paths": {
        "/apis/wardle.test/v1/flunders": {
            "get": {
                "operationId": "listFlunder",
                "parameters": [{"$ref": "#/parameters/limit"}],
                "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/test.wardle.v1.Flunder"}}},
            }
        },
        "/apis/other.test/v1/secrets": {"get": {"responses": {}}},
    },
    "parameters": {"limit": {"name": "limit", "in": "query", "type": "integer", "uniqueItems": True}},
    "definitions": {
        "test.wardle.v1.Flunder": {
            "type": "object",
            "properties": {"metadata": {"$ref": f"#/definitions/{META}"}},
            "additionalProperties": False,
        },
        "test.wardle.v1.Unused": {"type": "object"},
        META: {"type": "object", "description": "another one"},
    },
}


@dataclass
class Extension:
    """Answers for one group and remembers what it was told of users."""

    working: bool = True
    asked: list[tuple[str, Any, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        self.asked.append((request.path_qs, request.headers.copy(), certificate))
        if not self.working:
            return web.Response(status=500)
        if request.path == "/apis/wardle.test/v1":
            tree = {"kind": "APIResourceList", "groupVersion": "wardle.test/v1", "resources": RESOURCES}
            return web.json_response(tree)
        if request.path == "/openapi/v3":
            url = "/openapi/v3/apis/wardle.test/v1?hash=1"
            return web.json_response({"paths": {"apis/wardle.test/v1": {"serverRelativeURL": url}}})
        if request.path == "/openapi/v2":
            return web.json_response(SPEC)
        if request.path.startswith("/openapi/v3/") or "flunders" in request.path:
            return web.json_response({"path": request.path_qs, "body": (await request.read()).decode()})
        return web.Response(status=404)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def extension(api: Any) -> AsyncIterator[Extension]:
    made, server = Extension(), api.server
    pair = KeyPair(server.directory / "extension.crt", server.directory / "extension.key")
    server.authority.issue_server(pair, "extension", ["api.default.svc"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    tls.load_verify_locations(server.directory / "front-proxy-ca.crt")
    tls.verify_mode = ssl.CERT_REQUIRED
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    # A Service whose name is an address: endpoints on this machine alone may not be written.
    spec = {"type": "ExternalName", "externalName": "127.0.0.1"}
    service = {"metadata": {"name": "api"}, "spec": spec}
    assert (await api("POST", "/api/v1/namespaces/default/services", service)).status == 201
    authority = base64.b64encode(server.authority.pair.certificate.read_bytes()).decode()
    tree = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": NAME},
        "spec": {
            "group": "wardle.test",
            "version": "v1",
            "groupPriorityMinimum": 2000,
            "versionPriority": 15,
            "service": {"namespace": "default", "name": "api", "port": port},
            "caBundle": authority,
        },
    }
    reply = await api("POST", OBJECTS, tree)
    assert reply.status == 201, reply.body
    await until(api, "True")
    yield made
    await runner.cleanup()


async def until(api: Any, status: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            tree = (await api("GET", f"{OBJECTS}/{NAME}")).tree
            found = (tree.get("status") or {}).get("conditions") or [{"status": ""}]
            if found[0]["status"] == status:
                return dict(found[0])
            await asyncio.sleep(0.02)


async def test_a_server_that_answers_is_available(api: Any, extension: Extension) -> None:
    found = await until(api, "True")
    assert (found["reason"], found["message"]) == ("Passed", "all checks passed")


async def test_requests_reach_it_as_the_user_whatever_the_client_claims(api: Any, extension: Extension) -> None:
    path = "/apis/wardle.test/v1/namespaces/default/flunders/x?a=b%20c"
    reply = await api("PUT", path, {"a": 1}, **{"x-remote-user": "root", "x-remote-extra-a": "b"})
    assert (reply.status, reply.tree) == (200, {"path": path, "body": '{"a": 1}'})
    asked, headers, certificate = extension.asked[-1]
    assert asked == path
    assert headers["X-Remote-User"] != "root"
    assert "system:masters" in headers.getall("X-Remote-Group")
    assert not {"X-Remote-Extra-a", "Authorization"} & set(headers)
    assert dict(pair for part in certificate["subject"] for pair in part)["commonName"] == "front-proxy-client"


async def test_who_may_not_here_never_gets_there(api: Any, extension: Extension) -> None:
    before = len(extension.asked)
    reply = await api("GET", "/apis/wardle.test/v1/namespaces/default/flunders", token="")
    assert reply.status == 403
    assert len(extension.asked) == before


async def test_discovery_tells_of_both(api: Any, extension: Extension) -> None:
    groups = [each["name"] for each in (await api("GET", "/apis")).tree["groups"]]
    assert groups[:2] == ["apiregistration.k8s.io", "apps"]
    assert "wardle.test" in groups
    group = (await api("GET", "/apis/wardle.test")).tree
    assert (group["kind"], group["preferredVersion"]["groupVersion"]) == ("APIGroup", "wardle.test/v1")
    listed = (await api("GET", "/apis/wardle.test/v1")).tree
    assert [each["name"] for each in listed["resources"]] == ["flunders", "flunders/status"]
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    tree = (await api("GET", "/apis", accept=accept)).tree
    [found] = [each for each in tree["items"] if each["metadata"]["name"] == "wardle.test"]
    assert found["versions"][0]["freshness"] == "Current"
    assert found["versions"][0]["resources"][0]["resource"] == "flunders"


async def test_its_openapi_is_in_the_index_and_comes_from_it(api: Any, extension: Extension) -> None:
    paths = (await api("GET", "/openapi/v3")).tree["paths"]
    assert "apis/apps/v1" in paths
    url = paths["apis/wardle.test/v1"]["serverRelativeURL"]
    assert (await api("GET", url)).tree["path"] == url


async def test_its_part_of_the_version_2_document_stands_among_the_own(api: Any, extension: Extension) -> None:
    alone = (await api("GET", "/openapi/v2")).tree
    flunder, meta = "test.wardle.v1.Flunder", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert alone["paths"]["/apis/wardle.test/v1/flunders"]["get"]["operationId"] == "listFlunder"
    assert "/apis/other.test/v1/secrets" not in alone["paths"]
    assert "/apis/apps/v1/deployments" in alone["paths"]
    definitions = alone["definitions"]
    assert definitions[flunder]["properties"]["metadata"]["$ref"] == f"#/definitions/{meta}_v2"
    assert definitions[f"{meta}_v2"] == {"type": "object", "description": "another one"}
    assert definitions[meta]["properties"]["name"]
    assert "test.wardle.v1.Unused" not in definitions
    [shared] = alone["paths"]["/apis/wardle.test/v1/flunders"]["get"]["parameters"]
    assert shared["name"] == "limit"
    media = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    message = await api("GET", "/openapi/v2", accept=media)
    assert (message.status, b"listFlunder" in message.body, b"listAppsV1" in message.body) == (200, True, True)
    tag = (await api("GET", "/openapi/v2")).headers["etag"]
    assert (await api("GET", "/openapi/v2", if_none_match=tag)).status == 304
    assert (await api("GET", "/openapi/v2", accept="text/html")).status == 406
    asked = [path for path, _, _ in extension.asked]
    assert asked.count("/openapi/v2") == 1


async def test_extension_servers_learn_whom_to_believe(api: Any, extension: Extension) -> None:
    data = (await api("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")).tree[
        "data"
    ]
    authority = (api.server.directory / "front-proxy-ca.crt").read_text()
    assert data["requestheader-client-ca-file"] == authority
    assert json.loads(data["requestheader-allowed-names"]) == ["front-proxy-client"]
    assert json.loads(data["requestheader-username-headers"]) == ["X-Remote-User"]
    assert json.loads(data["requestheader-group-headers"]) == ["X-Remote-Group"]
    assert json.loads(data["requestheader-extra-headers-prefix"]) == ["X-Remote-Extra-"]
    assert "client-ca-file" in data


async def test_a_server_that_fails_is_unavailable_and_what_it_said_is_stale(api: Any, extension: Extension) -> None:
    extension.working = False
    merge = "application/merge-patch+json"
    await api("PATCH", f"{OBJECTS}/{NAME}", {"spec": {"versionPriority": 16}}, content_type=merge)
    found = await until(api, "False")
    assert found["reason"] == "FailedDiscoveryCheck"
    assert found["message"].startswith("failing or missing response from https://127.0.0.1:")
    assert "bad status from" in found["message"]
    reply = await api("GET", "/apis/wardle.test/v1/namespaces/default/flunders")
    assert (reply.status, reply.body) == (503, b"service unavailable\n")
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    tree = (await api("GET", "/apis", accept=accept)).tree
    [group] = [each for each in tree["items"] if each["metadata"]["name"] == "wardle.test"]
    assert [group["versions"][0]["freshness"], len(group["versions"][0]["resources"])] == ["Stale", 1]
    extension.working = True
    await until(api, "True")


async def test_a_group_goes_with_its_object(api: Any, extension: Extension) -> None:
    await api("DELETE", f"{OBJECTS}/{NAME}")
    assert "wardle.test" not in [each["name"] for each in (await api("GET", "/apis")).tree["groups"]]
    assert (await api("GET", "/apis/wardle.test/v1")).status == 404
