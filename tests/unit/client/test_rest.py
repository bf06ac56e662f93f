"""The REST client against an HTTP server on this machine that answers from a script and notes what it was asked."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvloop
from aiohttp import web

from podkeeper.api import codec
from podkeeper.api.catalogue import Resource
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError, already_exists, conflict, expired, not_found, too_many_requests
from podkeeper.api.meta import v1 as meta
from podkeeper.api.rbac import v1 as rbac
from podkeeper.client.api import ConnectionFailed, ObjectList, PatchKind, WatchEvent
from podkeeper.client.config import ClientConfig
from podkeeper.client.rest import RestApi
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.testing.fake_clock import FakeClock

# The hook that is to replace this fixture would change how every other room's tests are set up.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture:DeprecationWarning")

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]

WIDGETS = Resource("example.com", "v1", "widgets", "Widget", "widget", True, ("get", "list"))


class Server:
    """One reply per request, in order; the last one repeats."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.port = 0

    def answer(self, status: int, tree: Any, **headers: str) -> None:
        """Adds an answer with ``tree`` as its body."""

        async def reply(request: web.Request) -> web.StreamResponse:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, body=json.dumps(tree).encode(), headers=names)

        self.replies.append(reply)

    def refuse(self, error: ApiError, **headers: str) -> None:
        """Adds an error as API servers send it."""
        self.answer(error.code, error.status(), **headers)

    def stream(self, *parts: bytes, then_break: bool = False) -> None:
        """Adds a chunked answer; with ``then_break`` the connection is cut instead of ended."""

        async def reply(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for part in parts:
                await response.write(part)
            if then_break:
                assert request.transport is not None
                request.transport.abort()
            return response

        self.replies.append(reply)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return await reply(request)  # type: ignore[arg-type]

    @property
    def last(self) -> tuple[str, str, Any]:
        method, path, _, body = self.asked[-1]
        return method, path, json.loads(body) if body else None


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Transports, and TLS above all, differ between the two."""
    policy: asyncio.AbstractEventLoopPolicy = request.param()
    return policy


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    runner = web.ServerRunner(web.Server(scripted.handle), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.port = runner.addresses[0][1]
    async with asyncio.timeout(20):
        yield scripted
    await runner.cleanup()


@pytest.fixture
async def api(server: Server) -> AsyncIterator[RestApi]:
    made = RestApi(ClientConfig(f"http://127.0.0.1:{server.port}", token="secret"), name="tester", clock=FakeClock())
    yield made
    await made.close()


POD = v1.Pod(
    metadata=meta.ObjectMeta(name="web", namespace="default", resource_version="5"),
    spec=v1.PodSpec(containers=(v1.Container(name="app", image="nginx"),)),
)
POD_TREE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "resourceVersion": "5"},
    "spec": {"containers": [{"name": "app", "image": "nginx"}]},
}


class TestVerbs:
    async def test_get(self, server: Server, api: RestApi) -> None:
        server.answer(200, POD_TREE)
        assert await api.of(v1.Pod).get("web", "default") == POD
        method, path, headers, body = server.asked[0]
        assert (method, path, body) == ("GET", "/api/v1/namespaces/default/pods/web", b"")
        assert headers["Authorization"] == "Bearer secret"
        assert headers["User-Agent"].startswith("tester/")
        assert headers["Accept"] == "application/json"

    async def test_cluster_scoped_names_may_hold_what_paths_may_not(self, server: Server, api: RestApi) -> None:
        server.answer(200, {"metadata": {"name": "system:a/b"}})
        await api.of(rbac.ClusterRole).get("system:a/b c")
        assert server.asked[0][1] == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%2Fb%20c"

    async def test_list(self, server: Server, api: RestApi) -> None:
        item = {key: value for key, value in POD_TREE.items() if key not in ("apiVersion", "kind")}
        server.answer(200, {"kind": "PodList", "metadata": {"resourceVersion": "9", "continue": "c"}, "items": [item]})
        listed = await api.of(v1.Pod).list(
            "default",
            label_selector="app in (a, b)",
            field_selector="spec.nodeName=n",
            limit=7,
            continuation="x=",
            resource_version="0",
        )
        assert listed == ObjectList([POD], "9", "c")
        path, _, query = server.last[1].partition("?")
        assert path == "/api/v1/namespaces/default/pods"
        assert dict(parse_qsl(query)) == {
            "labelSelector": "app in (a, b)",
            "fieldSelector": "spec.nodeName=n",
            "limit": "7",
            "continue": "x=",
            "resourceVersion": "0",
        }

    async def test_an_empty_list_of_all_namespaces(self, server: Server, api: RestApi) -> None:
        server.answer(200, {"metadata": {"resourceVersion": "9"}, "items": None})
        assert await api.of(v1.Pod).list() == ObjectList([], "9")
        assert server.last[1] == "/api/v1/pods"

    async def test_create_goes_to_the_objects_namespace(self, server: Server, api: RestApi) -> None:
        server.answer(201, POD_TREE)
        assert await api.of(v1.Pod).create(POD) == POD
        assert server.last == ("POST", "/api/v1/namespaces/default/pods", codec.to_tree(POD))
        await api.of(v1.Pod).create(POD, "other")
        assert server.last[1] == "/api/v1/namespaces/other/pods"

    async def test_update(self, server: Server, api: RestApi) -> None:
        server.answer(200, POD_TREE)
        await api.of(v1.Pod).update(POD, subresource="status")
        assert server.last == ("PUT", "/api/v1/namespaces/default/pods/web/status", codec.to_tree(POD))
        assert server.asked[0][2]["Content-Type"] == "application/json"

    @pytest.mark.parametrize("kind", list(PatchKind))
    async def test_patch(self, server: Server, api: RestApi, kind: PatchKind) -> None:
        server.answer(200, POD_TREE)
        await api.of(v1.Pod).patch("web", {"metadata": {}}, "default", kind=kind, subresource="status")
        query = "?fieldManager=tester&force=true" if kind is PatchKind.APPLY else ""
        assert server.last == ("PATCH", f"/api/v1/namespaces/default/pods/web/status{query}", {"metadata": {}})
        assert server.asked[0][2]["Content-Type"] == kind.value

    async def test_delete(self, server: Server, api: RestApi) -> None:
        server.answer(200, {"kind": "Status", "status": "Success"})
        await api.of(v1.Pod).delete("web", "default")
        assert server.last == ("DELETE", "/api/v1/namespaces/default/pods/web", None)
        await api.of(v1.Pod).delete(
            "web", "default", grace_period=0, uid="u", resource_version="5", propagation="Orphan"
        )
        assert server.last[2] == {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": "u", "resourceVersion": "5"},
            "propagationPolicy": "Orphan",
        }

    async def test_posting_to_a_subresource(self, server: Server, api: RestApi) -> None:
        server.answer(201, {"kind": "Status", "status": "Success"})
        answer = await api.of(v1.Pod).connect_create("web", "binding", {"target": {"name": "n"}}, "default")
        assert answer["status"] == "Success"
        assert server.last == ("POST", "/api/v1/namespaces/default/pods/web/binding", {"target": {"name": "n"}})

    async def test_trees_of_custom_and_built_in_resources(self, server: Server, api: RestApi) -> None:
        server.answer(200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "w"}, "spec": None}]})
        listed = await api.of_resource(WIDGETS).list("default")
        assert listed.items == [
            {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": None}
        ]
        widget = {"metadata": {"name": "w", "namespace": "n"}, "size": 2**70}
        server.replies.clear()
        server.answer(200, widget)
        assert (await api.of_resource(WIDGETS).update(widget))["size"] == 2**70
        assert server.last == ("PUT", "/apis/example.com/v1/namespaces/n/widgets/w", widget)


class TestFailures:
    @pytest.mark.parametrize(
        "error",
        [
            not_found("pods", "", "web"),
            already_exists("pods", "", "web"),
            conflict("pods", "", "web", "it moved"),
            too_many_requests("slow down", 3),
        ],
    )
    async def test_errors_are_what_the_server_meant(self, server: Server, api: RestApi, error: ApiError) -> None:
        server.refuse(error)
        with pytest.raises(ApiError) as failure:
            await api.of(v1.Pod).create(POD)
        assert failure.value.status() == error.status()
        assert len(server.asked) == 1

    async def test_an_answer_that_is_no_status(self, server: Server, api: RestApi) -> None:
        async def proxy(request: web.Request) -> web.StreamResponse:
            return web.Response(status=503, text="upstream down", headers={"Retry-After": "7"})

        server.replies.append(proxy)
        with pytest.raises(ApiError) as failure:
            await api.of(v1.Pod).create(POD)
        error = failure.value
        assert (error.code, error.reason, error.retry_after) == (503, "ServiceUnavailable", 7)
        assert "upstream down" in error.message

    async def test_reads_wait_as_long_as_the_server_says(self, server: Server) -> None:
        clock = FakeClock()
        api = RestApi(ClientConfig(f"http://127.0.0.1:{server.port}"), clock=clock)
        server.refuse(too_many_requests("slow down"), Retry_After="3")
        server.answer(200, POD_TREE)
        reading = asyncio.create_task(api.of(v1.Pod).get("web", "default"))
        await clock.wait_for_sleepers()
        await clock.advance(2.9)
        assert len(server.asked) == 1
        await clock.advance(0.2)
        assert await reading == POD
        await api.close()

    async def test_refused_connections(self) -> None:
        api = RestApi(ClientConfig("http://127.0.0.1:1"))
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1"):
            await api.of(v1.Pod).get("web", "default")
        await api.close()

    async def test_no_answer_in_time(self, server: Server) -> None:
        async def never(request: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        server.replies.append(never)
        api = RestApi(ClientConfig(f"http://127.0.0.1:{server.port}"), timeout=0.05)
        with pytest.raises(ConnectionFailed, match="no answer"):
            await api.of(v1.Pod).get("web", "default")
        await api.close()

    async def test_a_broken_answer(self, server: Server, api: RestApi) -> None:
        server.stream(b'{"kind":', then_break=True)
        with pytest.raises(ConnectionFailed):
            await api.of(v1.Pod).get("web", "default")

    async def test_a_closed_client(self, api: RestApi) -> None:
        await api.close()
        await api.close()
        with pytest.raises(ConnectionFailed, match="closed"):
            await api.of(v1.Pod).get("web", "default")

    async def test_raw_requests_take_any_status(self, server: Server, api: RestApi) -> None:
        server.refuse(not_found("pods", "", "x"), X_Test="yes")
        code, headers, body = await api.request("GET", "/readyz", query={"verbose": ""}, accept="text/plain")
        assert (code, headers["X-Test"], json.loads(body)["code"]) == (404, "yes", 404)
        assert server.asked[0][1] == "/readyz?verbose="


def line(kind: str, tree: Any) -> bytes:
    return json.dumps({"type": kind, "object": tree}).encode() + b"\n"


class TestWatch:
    async def test_events_arrive_however_the_stream_is_cut(self, server: Server, api: RestApi) -> None:
        whole = line("ADDED", POD_TREE) + line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "6"}})
        whole += line("DELETED", {**POD_TREE, "metadata": {**POD_TREE["metadata"], "resourceVersion": "7"}})
        server.stream(*(whole[index : index + 11] for index in range(0, len(whole), 11)))
        events = [event async for event in api.of(v1.Pod).watch("default", resource_version="4", timeout=30)]
        assert events[:2] == [WatchEvent("ADDED", POD, "5"), WatchEvent("BOOKMARK", None, "6")]
        assert (events[2].type, events[2].resource_version) == ("DELETED", "7")
        assert server.last[1] == (
            "/api/v1/namespaces/default/pods?watch=true&allowWatchBookmarks=true&resourceVersion=4&timeoutSeconds=30"
        )

    async def test_a_version_that_is_gone_before_the_watch_begins(self, server: Server, api: RestApi) -> None:
        server.refuse(expired("too old resource version: 4 (9)"))
        with pytest.raises(ApiError, match="too old") as failure:
            await anext(api.of(v1.Pod).watch(resource_version="4"))
        assert failure.value.code == 410

    async def test_an_error_within_the_watch_comes_after_the_events_before_it(
        self, server: Server, api: RestApi
    ) -> None:
        server.stream(line("ADDED", POD_TREE) + line("ERROR", expired("gone").status()))
        watch = api.of(v1.Pod).watch(resource_version="4")
        assert (await anext(watch)).object == POD
        with pytest.raises(ApiError, match="gone"):
            await anext(watch)

    async def test_a_broken_connection(self, server: Server, api: RestApi) -> None:
        server.stream(line("ADDED", POD_TREE), then_break=True)
        watch = api.of(v1.Pod).watch(resource_version="4")
        with pytest.raises(ConnectionFailed):
            _ = [event async for event in watch]

    async def test_an_end_in_the_middle_of_an_event(self, server: Server, api: RestApi) -> None:
        server.stream(line("ADDED", POD_TREE)[:20])
        with pytest.raises(ConnectionFailed, match="middle"):
            await anext(api.of(v1.Pod).watch(resource_version="4"))

    async def test_what_is_no_event(self, server: Server, api: RestApi) -> None:
        server.stream(b"<html>\n")
        with pytest.raises(ConnectionFailed, match="cannot be read"):
            await anext(api.of(v1.Pod).watch(resource_version="4"))

    async def test_large_events(self, server: Server, api: RestApi) -> None:
        tree = {"metadata": {"name": "big", "resourceVersion": "1"}, "data": {"blob": "x" * 3_000_000}}
        server.stream(line("ADDED", tree))
        (event,) = [event async for event in api.of(v1.ConfigMap).watch(resource_version="0")]
        assert event.object is not None
        assert len(event.object.data["blob"]) == 3_000_000

    async def test_leaving_a_watch_ends_its_connection(self, server: Server, api: RestApi) -> None:
        ended = asyncio.Event()

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(line("ADDED", POD_TREE))
            try:
                while True:
                    await response.write(b"\n")
                    await asyncio.sleep(0)
            finally:
                ended.set()

        server.replies.append(endless)
        watch = api.of(v1.Pod).watch(resource_version="4")
        await anext(watch)
        await watch.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await ended.wait()


class TestTls:
    async def test_client_certificates_in_memory_and_the_clusters_own_ca(self, tmp_path: Path) -> None:
        authority = Authority.open(tmp_path)
        serving, client = (KeyPair(tmp_path / f"{name}.crt", tmp_path / f"{name}.key") for name in ("server", "client"))
        authority.issue_server(serving, "server", ["127.0.0.1"])
        authority.issue_client(client, "admin", ["system:masters"])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.certificate_pem().decode())
        context.load_cert_chain(serving.certificate, serving.key)
        context.verify_mode = ssl.CERT_REQUIRED
        subjects = []

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            assert request.transport is not None
            subjects.append(request.transport.get_extra_info("peercert")["subject"])
            return web.json_response(POD_TREE)

        runner = web.ServerRunner(web.Server(handle), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        server = f"https://127.0.0.1:{runner.addresses[0][1]}"
        good = ClientConfig(
            server,
            ca=authority.certificate_pem(),
            certificate=client.certificate.read_bytes(),
            key=client.key.read_bytes(),
        )
        trusted, untrusting = RestApi(good), RestApi(ClientConfig(server))
        try:
            assert await trusted.of(v1.Pod).get("web", "default") == POD
            assert {pair for part in subjects[0] for pair in part} == {
                ("organizationName", "system:masters"),
                ("commonName", "admin"),
            }
            with pytest.raises(ConnectionFailed, match="certificate"):
                await untrusting.of(v1.Pod).get("web", "default")
        finally:
            await trusted.close()
            await untrusting.close()
            await runner.cleanup()

    async def test_a_token_file_is_read(self, server: Server, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("first\n")
        server.answer(200, POD_TREE)
        api = RestApi(ClientConfig(f"http://127.0.0.1:{server.port}", token_file=token))
        await api.of(v1.Pod).get("web", "default")
        assert server.asked[0][2]["Authorization"] == "Bearer first"
        await api.close()
