"""Logs, exec, port-forward and proxies against a scripted kubelet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import WSMsgType, web
from aiohttp.test_utils import unused_port

from podkeeper.foundation.keyfiles import KeyPair

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"


class Kubelet:
    """Remembers what it was asked and answers as a test wants."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.clients: list[Any] = []
        self.headers: dict[str, str] = {}

    async def logs(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if request.match_info["container"] == "broken":
            return web.Response(status=400, text="container broken has nothing to say")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"one\n")
        await response.write(b"two\n" * int(request.query.get("tailLines", "1")))
        return response

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=400, text="Upgrade request required")
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data[::-1])
        return socket

    async def anything(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        return web.Response(status=418, text=f"{request.method} {request.path_qs}", headers={"X-Own": "1"})

    def _note(self, request: web.Request) -> None:
        self.asked.append(request.path_qs)
        self.headers = dict(request.headers)
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        self.clients.append(certificate)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubelet(api: Any) -> AsyncIterator[Kubelet]:
    scripted, server = Kubelet(), api.server
    pair = KeyPair(server.directory / "kubelet.crt", server.directory / "kubelet.key")
    server.authority.issue_server(pair, "system:node:n1", ["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    tls.load_verify_locations(server.authority.pair.certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    application = web.Application()
    application.router.add_get("/containerLogs/{ns}/{pod}/{container}", scripted.logs)
    for path in ("/exec/{tail:.*}", "/attach/{tail:.*}", "/portForward/{tail:.*}"):
        application.router.add_route("*", path, scripted.stream)
    application.router.add_route("*", "/{tail:.*}", scripted.anything)
    runner = web.AppRunner(application)
    await runner.setup()
    port = unused_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    await api("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    status = {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    merge = "application/merge-patch+json"
    await api("PATCH", "/api/v1/nodes/n1/status", {"status": status}, content_type=merge)
    one = {"name": "main", "image": "i"}
    for name, containers in (("single", [one]), ("double", [one, {"name": "broken", "image": "i"}])):
        tree = {"metadata": {"name": name}, "spec": {"nodeName": "n1", "containers": containers}}
        assert (await api("POST", PODS, tree)).status == 201
    yield scripted
    await runner.cleanup()


async def test_logs_come_from_the_kubelet_with_our_certificate(api: Any, kubelet: Kubelet) -> None:
    reply = await api("GET", f"{PODS}/single/log?tailLines=2&timestamps=true&previous=false")
    assert (reply.status, reply.body) == (200, b"one\ntwo\ntwo\n")
    assert reply.headers["content-type"] == "text/plain"
    assert kubelet.asked[-1] == "/containerLogs/default/single/main?timestamps=true&tailLines=2"
    names = dict(pair for part in kubelet.clients[-1]["subject"] for pair in part)
    assert names["commonName"] == "kube-apiserver-kubelet-client"
    assert "authorization" not in {name.lower() for name in kubelet.headers}


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("double/log", 400, "a container name must be specified for pod double, choose one of: [main broken]"),
        ("double/log?container=none", 400, "container none is not valid for pod double"),
        ("double/log?container=broken", 400, "container broken has nothing to say"),
        ("missing/log", 404, 'pods "missing" not found'),
        ("single/log?tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "single/log?tailLines=-1",
            422,
            'PodLogOptions "single" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
        ),
        ("single/exec?command=ls", 400, "you must specify at least one of stdin, stdout, stderr"),
        ("single/exec?command=ls&stdout=1", 400, "Upgrade request required"),
        ("single/attach?stdout=1", 400, "Upgrade request required"),
        ("single/portforward", 400, "Upgrade request required"),
    ],
)
async def test_what_is_wrong_is_told(api: Any, kubelet: Kubelet, path: str, code: int, message: str) -> None:
    reply = await api("GET" if "/log" in path else "POST", f"{PODS}/{path}")
    assert (reply.status, reply.message) == (code, message)


async def test_a_pod_that_runs_nowhere_has_an_empty_log(api: Any, kubelet: Kubelet, make_pod: Any) -> None:
    await api("POST", PODS, make_pod("nowhere"))
    reply = await api("GET", f"{PODS}/nowhere/log")
    assert (reply.status, reply.body) == (200, b"")
    refused = await api("POST", f"{PODS}/nowhere/exec?command=a&stdout=1")
    assert (refused.status, refused.message) == (400, "pod nowhere does not have a host assigned")


async def test_a_node_that_does_not_answer_is_named(api: Any, kubelet: Kubelet, make_pod: Any) -> None:
    await api("POST", "/api/v1/nodes", {"metadata": {"name": "dead"}})
    port = unused_port()
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    merge = "application/merge-patch+json"
    await api("PATCH", "/api/v1/nodes/dead/status", {"status": status}, content_type=merge)
    await api("POST", PODS, make_pod("unreachable", nodeName="dead"))
    reply = await api("GET", f"{PODS}/unreachable/log")
    assert reply.status == 500
    assert reply.message == (
        f'Get "https://127.0.0.1:{port}/containerLogs/default/unreachable/main": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )


async def test_exec_over_a_websocket_is_relayed_both_ways(api: Any, kubelet: Kubelet) -> None:
    import aiohttp

    url = f"{api.server.url}{PODS}/single/exec?command=cat&command=-n&stdin=true&stdout=true&tty=false"
    headers = {"Authorization": f"Bearer {api.token}"}
    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(10),
        session.ws_connect(
            url, headers=headers, protocols=("v5.channel.k8s.io",), ssl=api.server.tls(), max_msg_size=0
        ) as socket,
    ):
        assert socket.protocol == "v5.channel.k8s.io"
        for size in (1, 1000, 3_000_000):
            data = bytes(index % 251 for index in range(size))
            await socket.send_bytes(data)
            assert (await socket.receive_bytes()) == data[::-1]
    assert kubelet.asked[-1] == "/exec/default/single/main?input=1&output=1&command=cat&command=-n"


async def test_a_websocket_needs_the_permission_to_create(api: Any, kubelet: Kubelet) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}
    await api("POST", f"{rbac}/roles", {"metadata": {"name": "onlyget"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "onlyget"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "onlyget"},
        "subjects": [{"kind": "User", "name": "looker", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    await api("POST", f"{rbac}/rolebindings", binding)
    pair = api.server.client_pair("looker")
    reply = await api("GET", f"{PODS}/single/exec?command=ls&stdout=1", pair=pair)
    assert reply.status == 403
    assert 'cannot create resource "pods/exec"' in reply.message


async def test_proxies_pass_method_path_query_and_status(api: Any, kubelet: Kubelet) -> None:
    reply = await api("GET", "/api/v1/nodes/n1/proxy/stats/summary?a=b%20c")
    assert (reply.status, reply.body) == (418, b"GET /stats/summary?a=b%20c")
    assert reply.headers["x-own"] == "1"
    posted = await api("POST", "/api/v1/nodes/n1/proxy/run", {"a": 1})
    assert posted.body == b"POST /run"
    assert (await api("GET", f"{PODS}/single/proxy/x")).status == 400  # the pod has no address
    assert (await api("GET", "/api/v1/namespaces/default/services/none/proxy/")).status == 404
