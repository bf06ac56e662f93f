"""Services are reached through their endpoint slices, pages and redirects lead back through the proxy."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, WSMsgType, web

from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.streaming.proxies import is_special, split_name
from podkeeper.apiserver.streaming.service_endpoints import EndpointResolver, port_name_of, ready_endpoints

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLICE = {
    "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53}],
    "endpoints": [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
        {"addresses": ["10.0.0.3"]},
    ],
}
ROOT = "/api/v1/namespaces/default/pods/web:{}/proxy"


async def test_ready_endpoints_with_the_number_of_the_named_port() -> None:
    assert ready_endpoints(SLICE, "http") == [("10.0.0.1", 8080, {}), ("10.0.0.3", 8080, {})]
    assert ready_endpoints(SLICE, "") == []


async def test_a_port_by_its_number_is_the_one_of_that_name() -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "http", "port": 80}, {"port": 81}]}}
    assert [port_name_of(service, each) for each in ("80", "81", "http", "")] == ["http", "", "http", ""]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("web", ("", "web", "")), ("web:http", ("", "web", "http")), ("https:web:", ("https", "web", ""))],
)
async def test_names_may_carry_scheme_and_port(text: str, wanted: tuple[str, str, str]) -> None:
    assert split_name(text, "service") == wanted


async def test_addresses_that_can_be_no_pods() -> None:
    named = ("127.0.0.1", "169.254.1.1", "224.0.0.1", "10.0.0.1", "::1", "fd00::1")
    assert [is_special(each) for each in named] == [True, True, True, False, True, False]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(api: Any) -> AsyncIterator[str]:
    async def page(request: web.Request) -> web.Response:
        body = gzip.compress(b'<a href="/x">x</a>') if "gz" in request.path else b'<a href="/x">x</a>'
        coding = {"Content-Encoding": "gzip"} if "gz" in request.path else {}
        return web.Response(body=body, headers={"Content-Type": "text/html", "Access-Control-X": "1"} | coding)

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"/there{request.query.get('q', '')}"})

    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data.upper())
        return socket

    async def anything(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.path_qs} {(await request.read()).decode()}")

    application = web.Application()
    application.router.add_get("/page", page)
    application.router.add_get("/gz", page)
    application.router.add_get("/away", away)
    application.router.add_get("/echo", echo)
    application.router.add_route("*", "/{tail:.*}", anything)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    tree = {"metadata": {"name": "web"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}
    assert (await api("POST", "/api/v1/namespaces/default/pods", tree)).status == 201
    status = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "phase": "Running"}}
    merge = "application/merge-patch+json"
    await api("PATCH", "/api/v1/namespaces/default/pods/web/status", status, content_type=merge)
    yield ROOT.format(port)
    await runner.cleanup()


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podkeeper.apiserver.streaming.proxies.is_special", lambda address: False)


async def test_an_address_of_this_machine_alone_is_refused(api: Any, backend: str) -> None:
    reply = await api("GET", f"{backend}/x")
    assert (reply.status, reply.message) == (400, "address not allowed")


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"])
async def test_methods_paths_queries_and_bodies_pass(api: Any, backend: str, method: str) -> None:
    body = {"a": 1} if method not in ("GET", "DELETE", "OPTIONS") else None
    reply = await api(method, f"{backend}/a%20b/c/?d=e%2Ff", body)
    sent = '{"a":1}' if body else ""
    assert reply.body.decode().replace(" ", "") == f"{method}/a%20b/c/?d=e%2Ff{sent}"


@pytest.mark.usefixtures("anywhere")
async def test_heads_pass_without_bodies(api: Any, backend: str) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    async with (
        ClientSession(headers=headers) as session,
        session.head(f"{api.server.url}{backend}/x", ssl=api.server.tls()) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("path", ["page", "gz"])
async def test_links_and_redirects_lead_through_the_proxy(api: Any, backend: str, path: str) -> None:
    reply = await api("GET", f"{backend}/{path}")
    body = gzip.decompress(reply.body) if reply.body[:2] == b"\x1f\x8b" else reply.body
    assert body.decode() == f'<a href="{backend}/x">x</a>'
    assert "access-control-x" not in {name.lower() for name in reply.headers}
    moved = await api("GET", f"{backend}/away?q=1")
    assert (moved.status, moved.headers["location"]) == (302, f"{backend}/there1")


@pytest.mark.usefixtures("anywhere")
async def test_the_root_has_a_slash(api: Any, backend: str) -> None:
    reply = await api("GET", f"{backend}?a=b")
    assert (reply.status, reply.headers["location"]) == (301, f"{backend}/?a=b")


@pytest.mark.usefixtures("anywhere")
async def test_sockets_pass(api: Any, backend: str) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    async with (
        ClientSession(headers=headers) as session,
        session.ws_connect(f"{api.server.url}{backend}/echo", ssl=api.server.tls()) as socket,
    ):
        await socket.send_str("hello")
        assert await socket.receive_str() == "HELLO"


@pytest.mark.usefixtures("anywhere")
async def test_nobody_there_is_503(api: Any, backend: str) -> None:
    reply = await api("GET", ROOT.format(1) + "/")
    assert reply.status == 503
    assert reply.message.startswith("error trying to reach service: dial tcp 127.0.0.1:1:")


async def test_services_without_an_answer_are_503_in_upstreams_words(api: Any) -> None:
    tree = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "http"}]}}
    await api("POST", "/api/v1/namespaces/default/services", tree)
    services = "/api/v1/namespaces/default/services"
    messages = [(await api("GET", f"{services}/{each}/proxy/")).message for each in ("s:80", "s:81", "none")]
    assert messages == [
        'no endpoints available for service "s"',
        'no service port 81 found for service "s"',
        'services "none" not found',
    ]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ({"kind": "Pod", "namespace": "default", "name": "web"}, 200),
        ({"kind": "Pod", "namespace": "other", "name": "web"}, 503),
        ({"kind": "Pod", "namespace": "default", "name": "none"}, 503),
        (None, 503),
    ],
)
async def test_a_service_leads_to_pods_of_its_namespace_alone(
    api: Any, backend: str, anywhere: None, target: Any, status: int
) -> None:
    port = int(backend.rpartition(":")[2].removesuffix("/proxy"))
    name = f"to-{status}-{len(str(target))}"
    tree: dict[str, Any] = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
    assert (await api("POST", "/api/v1/namespaces/default/services", tree)).status == 201
    endpoint = {"addresses": ["10.9.9.9"], "targetRef": target} if target else {"addresses": ["10.9.9.9"]}
    metadata = {"name": name, "labels": {"kubernetes.io/service-name": name}}
    ports = [{"name": "", "port": port}]
    tree = {"metadata": metadata, "addressType": "IPv4", "endpoints": [endpoint], "ports": ports}
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    made = await api("POST", path, tree)
    assert made.status == 201, made.body
    resolver = EndpointResolver(LiveObjects(api.server.registry))
    if status == 503:
        reply = await api("GET", f"/api/v1/namespaces/default/services/{name}/proxy/x")
        assert (reply.status, reply.message) == (503, f'no endpoints available for service "{name}"')
    else:
        merge = "application/merge-patch+json"
        addresses = {"status": {"podIPs": [{"ip": "127.0.0.1"}, {"ip": "10.9.9.9"}]}}
        await api("PATCH", "/api/v1/namespaces/default/pods/web/status", addresses, content_type=merge)
        assert await resolver.resolve_to_pod("default", name, "80") == ("10.9.9.9", port)
    assert await resolver.resolve("default", name, "80") == ("10.9.9.9", port)


async def test_an_alias_leads_nowhere(api: Any) -> None:
    spec = {"type": "ExternalName", "externalName": "127.0.0.1", "ports": [{"port": 80}]}
    await api("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "alias"}, "spec": spec})
    reply = await api("GET", "/api/v1/namespaces/default/services/alias:80/proxy/")
    assert (reply.status, reply.message) == (503, 'no endpoints available for service "alias"')
