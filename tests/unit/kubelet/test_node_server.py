"""The node's HTTP server: who may come in, logs, and the channel protocol of exec, attach and port-forward."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from podkeeper.api.core import v1
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.tls import server_tls
from podkeeper.kubelet.probes.outcome import Verdict
from podkeeper.kubelet.server import channels, spdy, tunnel
from podkeeper.kubelet.server.container_metrics import interfaces
from podkeeper.kubelet.server.server import NodeServer
from podkeeper.kubelet.server.spdy import Pinged, Received, Reset, Session
from podkeeper.runtime.cri import ExecResult
from podkeeper.runtime.failures import RuntimeFailure

Make = Callable[..., v1.Pod]
Get = Callable[..., Awaitable[tuple[int, str]]]


class Served:
    """A node whose server listens on a port of 127.0.0.1."""

    def __init__(self, node: Any, session: aiohttp.ClientSession, url: str) -> None:
        self.node, self.session, self.url = node, session, url

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def talk(self, path: str, protocol: str = channels.V5) -> aiohttp.ClientWebSocketResponse:
        return await self.session.ws_connect(self.url + path, protocols=(protocol,))


async def listen(server: NodeServer, tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(server.application(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return runner, int(runner.addresses[0][1])


@pytest.fixture
async def served(node: Any) -> AsyncIterator[Served]:
    kubelet = node.kubelet
    runner, port = await listen(NodeServer(kubelet.parts, kubelet.workers, None))
    async with aiohttp.ClientSession() as session:
        yield Served(node, session, f"http://127.0.0.1:{port}")
    await runner.cleanup()


async def read_all(socket: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """Every message until the close, joined per channel."""
    seen: dict[int, bytes] = {}
    async for message in socket:
        seen[message.data[0]] = seen.get(message.data[0], b"") + message.data[1:]
    return seen


# -- logs -----------------------------------------------------------------------------------------------------


def write_log(node: Any, name: str, *lines: str) -> Path:
    path = Path(node.runtime.container_named(name).log_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"2023-11-14T22:13:{at:02d}.000000000Z stdout F {line}\n" for at, line in enumerate(lines)))
    return path


async def test_logs_are_shown_whole_and_from_the_end(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())
    write_log(served.node, "app", "one", "two", "three")
    assert await served.get("/containerLogs/default/web/app") == (200, "one\ntwo\nthree\n")
    assert await served.get("/containerLogs/default/web/app?tailLines=1") == (200, "three\n")
    assert await served.get("/containerLogs/default/web/app?limitBytes=5") == (200, "one\nt")
    assert (await served.get("/containerLogs/default/web/app?timestamps=true&tailLines=1"))[1].startswith(
        "2023-11-14T22:13:02.000000000Z three"
    )


async def test_the_previous_containers_log_is_found(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())
    status, text = await served.get("/containerLogs/default/web/app?previous=true")
    assert (status, text) == (400, 'previous terminated container "app" in pod "web" not found')
    write_log(served.node, "app", "first life")
    served.node.exit("app", 1)
    await served.node.settle()
    write_log(served.node, "app", "second life")
    assert await served.get("/containerLogs/default/web/app?previous=true") == (200, "first life\n")
    assert await served.get("/containerLogs/default/web/app") == (200, "second life\n")
    served.node.exit("app", 1)  # now it waits for its back-off: the second life is the previous one
    await served.node.settle()
    assert await served.get("/containerLogs/default/web/app?previous=true") == (200, "second life\n")


async def test_what_has_no_log_says_why(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod(containers=(v1.Container(name="app", image="none:1"),)))
    status, text = await served.get("/containerLogs/default/web/app")
    assert (status, text) == (400, 'container "app" in pod "web" is waiting to start: ImagePullBackOff')
    assert (await served.get("/containerLogs/default/web/other"))[0] == 400
    assert (await served.get("/containerLogs/default/none/app"))[0] == 404
    assert (await served.get("/containerLogs/default/web/app?tailLines=-1"))[0] == 422
    assert (await served.get("/containerLogs/default/web/app?sinceSeconds=1&sinceTime=2023-11-14T22:13:20Z"))[0] == 422


async def test_following_ends_with_the_container(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod(restart_policy="Never"))
    path = write_log(served.node, "app", "one")
    async with (
        asyncio.timeout(10),
        served.session.get(f"{served.url}/containerLogs/default/web/app?follow=true") as answer,
    ):
        assert await answer.content.readline() == b"one\n"
        with path.open("a") as file:
            file.write("2023-11-14T22:14:00.000000000Z stdout F two\n")
        assert await answer.content.readline() == b"two\n"
        served.node.exit("app", 0)
        assert await answer.content.read() == b""


# -- exec -----------------------------------------------------------------------------------------------------


async def test_exec_gives_both_streams_and_the_exit_code(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())
    served.node.runtime.exec_script = lambda container, command: ExecResult(3, b"out", b"err")
    socket = await served.talk("/exec/default/web/app?command=sh&command=-c&command=x&stdout=1&stderr=1")
    assert socket.protocol == channels.V5
    seen = await read_all(socket)
    assert (seen[1], seen[2]) == (b"out", b"err")
    status = json.loads(seen[3])
    assert status["status"] == "Failure"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert served.node.happened("exec") == ["sh -c x"]
    assert socket.close_code == 1000


async def test_success_is_said_on_the_error_channel(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())
    seen = await read_all(await served.talk("/exec/default/web/app?command=true&stdout=true", channels.V4))
    assert json.loads(seen[3]) == {"metadata": {}, "status": "Success"}


class Cat:
    """A process that gives back what it is given, until its stdin ends."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.sizes: list[tuple[int, int]] = []
        self.closed = asyncio.Event()

    async def read(self) -> tuple[int, bytes] | None:
        data = await self._queue.get()
        return None if data is None else (1, data)

    async def write(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    async def close_stdin(self) -> None:
        self._queue.put_nowait(None)

    def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def wait(self) -> int:
        return 0

    async def close(self) -> None:
        self.closed.set()


@pytest.fixture
def cat(node: Any, monkeypatch: pytest.MonkeyPatch) -> Cat:
    process = Cat()

    async def start(*_: Any, **__: Any) -> Cat:
        return process

    monkeypatch.setattr(node.runtime, "exec", start)
    monkeypatch.setattr(node.runtime, "attach", start)
    monkeypatch.setattr(node.runtime, "port_forward", start)
    return process


async def test_stdin_flows_and_its_end_is_told_by_v5(served: Served, make_pod: Make, cat: Cat) -> None:
    await served.node.run(make_pod())
    socket = await served.talk("/exec/default/web/app?command=cat&stdin=1&stdout=1&tty=1")
    assert (await socket.receive_bytes()) == b"\x01"  # connected
    await socket.send_bytes(b'\x04{"Width":80,"Height":24}')
    await socket.send_bytes(b"\x00hello")
    assert (await socket.receive_bytes()) == b"\x01hello"
    await socket.send_bytes(b"\xff\x00")
    assert json.loads((await socket.receive_bytes())[1:])["status"] == "Success"
    assert cat.sizes == [(80, 24)]
    async with asyncio.timeout(5):
        await cat.closed.wait()
    await socket.close()


async def test_a_client_that_goes_away_ends_the_process(served: Served, make_pod: Make, cat: Cat) -> None:
    await served.node.run(make_pod())
    socket = await served.talk("/attach/default/web/app?stdin=1&stdout=1")
    await socket.receive_bytes()
    await socket.close()
    async with asyncio.timeout(5):
        await cat.closed.wait()


async def test_a_command_that_cannot_run_is_told_on_the_error_channel(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())

    def fail(container: Any, command: Any) -> ExecResult:
        raise RuntimeFailure("no such file")

    served.node.runtime.exec_script = fail
    seen = await read_all(await served.talk("/exec/default/web/app?command=x&stdout=1"))
    assert json.loads(seen[3])["message"] == "no such file"


@pytest.mark.parametrize(
    ("path", "upgrade", "status", "words"),
    [
        ("/exec/default/web/app?command=x&stdout=1", "", 400, "Upgrade request required"),
        ("/exec/default/web/app?command=x&stdout=1", "h2c", 400, "Upgrade request required"),
        ("/exec/default/web/app?command=x", "websocket", 400, "at least 1 of stdin, stdout, stderr"),
        ("/exec/default/web/app?stdout=1", "websocket", 400, "you must specify a command"),
        ("/exec/default/web/none?command=x&stdout=1", "websocket", 404, 'container not found ("none")'),
        ("/exec/default/none/app?command=x&stdout=1", "websocket", 404, 'pod "none" not found'),
        ("/portForward/default/web?port=x", "websocket", 400, "unable to parse port"),
    ],
)
async def test_bad_requests_are_refused_before_the_upgrade(
    served: Served, make_pod: Make, path: str, upgrade: str, status: int, words: str
) -> None:
    await served.node.run(make_pod())
    headers = {"Upgrade": upgrade, "Connection": "Upgrade"} if upgrade else {}
    found = await served.get(path, **headers)
    assert found[0] == status
    assert words in found[1]


async def test_ports_are_forwarded_by_pairs_of_channels(served: Served, make_pod: Make, cat: Cat) -> None:
    await served.node.run(make_pod())
    socket = await served.talk("/portForward/default/web?port=8080", channels.V4)
    assert await socket.receive_bytes() == b"\x00" + (8080).to_bytes(2, "little")
    assert await socket.receive_bytes() == b"\x01" + (8080).to_bytes(2, "little")
    await socket.send_bytes(b"\x00ping")
    assert await socket.receive_bytes() == b"\x00ping"
    await socket.close()
    async with asyncio.timeout(5):
        await cat.closed.wait()


async def test_kubectl_forwards_ports_by_frames_within_messages(
    served: Served, make_pod: Make, cat: Cat, spdy_client: Any
) -> None:
    await served.node.run(make_pod())
    socket = await served.talk("/portForward/default/web", tunnel.PROTOCOL)
    assert socket.protocol == tunnel.PROTOCOL
    client, answers = spdy_client(), Session()
    await socket.send_bytes(client.open(1, {"streamtype": "error", "port": "80", "requestid": "0"}, last=True))
    await socket.send_bytes(client.open(3, {"streamtype": "data", "port": "80", "requestid": "0"}))
    assert [await frame_kind(socket) for _ in range(2)] == [spdy.SYN_REPLY] * 2
    await socket.send_bytes(client.data(3, b"hello"))
    assert list(answers.feed(await socket.receive_bytes())) == [Received(3, b"hello")]
    await socket.send_bytes(bytes.fromhex("80030006 00000004 00000001"))
    assert list(answers.feed(await socket.receive_bytes())) == [Pinged(1)]
    await socket.send_bytes(client.data(3, b"", last=True))  # the server ends as its input does
    ends = [await socket.receive_bytes() for _ in range(2)]
    assert list(answers.feed(b"".join(ends))) == [Received(1, b"", True), Received(3, b"", True)]
    assert cat.closed.is_set()
    await socket.close()


async def test_a_port_where_nobody_listens_is_told_on_the_error_stream(
    served: Served, make_pod: Make, monkeypatch: pytest.MonkeyPatch, spdy_client: Any
) -> None:
    async def refuse(*_: Any) -> Any:
        raise RuntimeFailure("connection refused")

    monkeypatch.setattr(served.node.runtime, "port_forward", refuse)
    await served.node.run(make_pod())
    socket = await served.talk("/portForward/default/web", tunnel.PROTOCOL)
    client = spdy_client()
    for number, port in enumerate(("81", "no")):
        for stream, kind in ((4 * number + 1, "error"), (4 * number + 3, "data")):
            headers = {"streamtype": kind, "port": port, "requestid": str(number)}
            await socket.send_bytes(client.open(stream, headers))
    seen = [await socket.receive_bytes() for _ in range(7)]
    reason = b"error forwarding port 81 to pod: connection refused"
    told = [event for frame in seen for event in Session().feed(frame)]
    assert Received(1, reason, True) in told
    assert Received(3, b"", True) in told
    assert Reset(7) in told  # what is no port
    await socket.close()


async def test_a_client_that_goes_away_ends_its_connections(
    served: Served, make_pod: Make, cat: Cat, spdy_client: Any
) -> None:
    await served.node.run(make_pod())
    socket = await served.talk("/portForward/default/web", tunnel.PROTOCOL)
    client = spdy_client()
    for stream, kind in ((1, "error"), (3, "data")):
        await socket.send_bytes(client.open(stream, {"streamtype": kind, "port": "80", "requestid": "0"}))
        await socket.receive_bytes()
    await socket.close()
    async with asyncio.timeout(5):
        await cat.closed.wait()


async def frame_kind(socket: Any) -> int:
    return int.from_bytes((await socket.receive_bytes())[2:4], "big")


# -- pods, stats, access --------------------------------------------------------------------------------------


async def test_pods_and_numbers_are_told(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())
    for path in ("/healthz", "/healthz/ping", "/healthz/syncloop"):
        assert await served.get(path) == (200, "ok")
    told = json.loads((await served.get("/configz"))[1])["kubeletconfig"]
    assert (told["kind"], told["maxPods"], told["nodeStatusReportFrequency"]) == ("KubeletConfiguration", 110, "5m0s")
    assert told["evictionHard"]["nodefs.available"] == "10%"
    running = json.loads((await served.get("/runningpods/"))[1])
    assert [pod["metadata"]["name"] for pod in running["items"]] == ["web"]
    pods = json.loads((await served.get("/pods"))[1])
    assert [(pod["metadata"]["name"], pod["status"]["phase"]) for pod in pods["items"]] == [("web", "Running")]
    summary = json.loads((await served.get("/stats/summary"))[1])
    assert summary["pods"][0]["podRef"]["name"] == "web"
    assert [each["name"] for each in summary["pods"][0]["containers"]] == ["app"]
    assert "kubelet_running_pods 1" in (await served.get("/metrics"))[1]
    told = (await served.get("/metrics/resource"))[1]
    for name, labels in (
        ("container_cpu_usage_seconds_total", 'container="app",namespace="default",pod="web"'),
        ("container_memory_working_set_bytes", 'container="app",namespace="default",pod="web"'),
        ("pod_cpu_usage_seconds_total", 'namespace="default",pod="web"'),
    ):
        assert re.search(rf"^{name}{{{labels}}} [0-9.e-]+ [0-9]{{13}}$", told, re.MULTILINE)
    assert re.search(r"^node_cpu_usage_seconds_total [0-9.e-]+ [0-9]{13}$", told, re.MULTILINE)
    assert "\nresource_scrape_error 0\n" in told


async def test_containers_are_told_as_cadvisor_tells_them(served: Served, make_pod: Make) -> None:
    await served.node.run(make_pod())
    told = (await served.get("/metrics/cadvisor"))[1]
    identity = served.node.runtime.container_named("app").id
    for container, image, name in (("app", '[^"]+', identity), ("", "", "")):
        labels = f'container="{container}",id="/[^"]+",image="{image}",name="{name}",namespace="default",pod="web"'
        for sample in (
            f'container_cpu_usage_seconds_total{{{labels},cpu="total"}}',
            f"container_memory_rss{{{labels}}}",
        ):
            assert re.search(rf"^{sample} [0-9.e-]+ [0-9]{{13}}$", told, re.MULTILINE), sample
    assert re.search(r'^container_memory_working_set_bytes{container="",id="/",', told, re.MULTILINE)
    assert re.search(r"^machine_memory_bytes [0-9]+$", told, re.MULTILINE)


def test_interfaces_are_those_of_a_processs_network() -> None:
    found = {each.name: each for each in interfaces(os.getpid())}
    assert len(found["lo"].counts) == 16
    assert interfaces(2**22 + 1) == ()


async def test_probes_are_counted_until_the_pod_is_gone(served: Served, make_pod: Make) -> None:
    figures = served.node.kubelet.parts.probes
    pod = make_pod()
    for verdict in (Verdict.SUCCESS, Verdict.SUCCESS, Verdict.FAILURE):
        figures.note(pod, "app", "readiness", verdict)
    whose = f'container="app",namespace="default",pod="web",pod_uid="{pod.metadata.uid}",probe_type="Readiness"'
    told = (await served.get("/metrics/probes"))[1]
    assert f'prober_probe_total{{{whose},result="successful"}} 2\n' in told
    assert f'prober_probe_total{{{whose},result="failed"}} 1\n' in told
    figures.forget(pod.metadata.uid)
    assert (await served.get("/metrics/probes"))[1] == ""


@pytest.mark.parametrize(
    ("path", "token", "status", "asked"),
    [
        ("/metrics/resource", "knows-me", 200, ["metrics"]),
        ("/stats/summary", "knows-me", 403, ["stats"]),
        ("/pods", "knows-me", 200, ["pods", "proxy"]),
        ("/containerLogs/default/web/app", "knows-me", 404, ["proxy"]),
        ("/metrics", "wrong", 401, []),
    ],
)
async def test_the_api_server_says_who_may_else(
    node: Any, tmp_path: Path, path: str, token: str, status: int, asked: list[str]
) -> None:
    authority = Authority.open(tmp_path / "pki")
    serving = KeyPair(tmp_path / "serving.crt", tmp_path / "serving.key")
    authority.issue_server(serving, "system:node:node", ["127.0.0.1"])
    node.api.allowed |= {"metrics", "proxy"}
    tls = server_tls(str(serving.certificate), str(serving.key), str(authority.pair.certificate))
    runner, port = await listen(NodeServer(node.kubelet.parts, node.kubelet.workers, tls), tls)
    context = ssl.create_default_context(cafile=str(authority.pair.certificate))
    try:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            for _ in range(2):  # what was said is believed for a while
                answer = await session.get(f"https://127.0.0.1:{port}{path}", ssl=context)
                assert answer.status == status
            if status == 403:
                what = "user=somebody, verb=get, resource=nodes, subresource(s)=[stats]"
                assert await answer.text() == f"Forbidden ({what})\n"
    finally:
        await runner.cleanup()
    attributes = [each["resourceAttributes"] for each in node.api.reviews if "resourceAttributes" in each]
    assert [each["subresource"] for each in attributes] == asked
    assert all(each["name"] == node.kubelet.config.node_name for each in attributes)


@pytest.mark.parametrize(
    ("name", "groups", "status"),
    [
        ("kube-apiserver-kubelet-client", (), 200),
        ("admin", ("system:masters",), 200),
        ("somebody", ("system:nodes",), 403),
        ("", (), 401),
    ],
)
async def test_only_the_api_server_comes_in(
    node: Any, tmp_path: Path, name: str, groups: tuple[str, ...], status: int
) -> None:
    authority = Authority.open(tmp_path / "pki")
    serving, client = (KeyPair(tmp_path / f"{each}.crt", tmp_path / f"{each}.key") for each in ("serving", "client"))
    authority.issue_server(serving, "system:node:node", ["127.0.0.1"])
    kubelet = node.kubelet
    tls = server_tls(str(serving.certificate), str(serving.key), str(authority.pair.certificate))
    runner, port = await listen(NodeServer(kubelet.parts, kubelet.workers, tls), tls)
    context = ssl.create_default_context(cafile=str(authority.pair.certificate))
    if name:
        authority.issue_client(client, name, groups)
        context.load_cert_chain(client.certificate, client.key)
    try:
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"https://127.0.0.1:{port}/healthz", ssl=context)
            assert answer.status == status
    finally:
        await runner.cleanup()


async def test_a_certificate_of_another_authority_is_no_certificate(node: Any, tmp_path: Path) -> None:
    ours, theirs = Authority.open(tmp_path / "ours"), Authority.open(tmp_path / "theirs")
    serving, client = (KeyPair(tmp_path / f"{each}.crt", tmp_path / f"{each}.key") for each in ("serving", "client"))
    ours.issue_server(serving, "system:node:node", ["127.0.0.1"])
    theirs.issue_client(client, "kube-apiserver-kubelet-client")
    kubelet = node.kubelet
    tls = server_tls(str(serving.certificate), str(serving.key), str(ours.pair.certificate))
    runner, port = await listen(NodeServer(kubelet.parts, kubelet.workers, tls), tls)
    context = ssl.create_default_context(cafile=str(ours.pair.certificate))
    context.load_cert_chain(client.certificate, client.key)
    try:
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"https://127.0.0.1:{port}/healthz", ssl=context)
            assert answer.status == 401
    finally:
        await runner.cleanup()


def test_messages_of_either_protocol_are_read() -> None:
    read = channels.read_message
    assert read(b"\x00abc", channels.V4) == channels.Input(b"abc")
    assert read(b"\xff\x00", channels.V5) == channels.InputClosed()
    assert read(b"\xff\x00", channels.V4) is None
    assert read(b"\xff\x01", channels.V5) is None
    assert read(b'\x04{"Width":1,"Height":2}', channels.V4) == channels.Resized(1, 2)
    assert read(b'\x04{"height":2,"width":1}', channels.V4) == channels.Resized(1, 2)
    assert read(b"\x04[]", channels.V4) is None
    assert read(b"\x04nonsense", channels.V4) is None
    assert read(b"", channels.V5) is None
