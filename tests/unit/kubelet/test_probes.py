"""Probes: how a container is asked, over sockets on 127.0.0.1; what the answers do to a pod, by a fake clock."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.core import v1
from podkeeper.kubelet.probes import grpc
from podkeeper.kubelet.probes.ask import ProbeTarget, ask
from podkeeper.kubelet.probes.outcome import Tally, Timing, Verdict
from podkeeper.runtime.cri import ExecResult

Make = Callable[..., v1.Pod]


def exec_probe(**fields: Any) -> v1.Probe:
    return v1.Probe(**({"exec": v1.ExecAction(command=("check",)), "period_seconds": 10} | fields))


def with_probes(make_pod: Make, **probes: v1.Probe) -> v1.Pod:
    return make_pod(containers=(v1.Container(name="app", image="app:1", **probes),))


# -- when and with what effect --------------------------------------------------------------------------------


async def test_readiness_comes_and_goes(node: Any, make_pod: Make) -> None:
    code = [1]
    node.runtime.exec_script = lambda container, command: ExecResult(code[0], b"", b"")
    await node.run(with_probes(make_pod, readiness_probe=exec_probe(failure_threshold=2, success_threshold=2)))
    assert (node.status().ready, node.status().started) == (False, True)
    assert node.condition("Ready") == "False"
    code[0] = 0
    await node.pass_time(10)
    assert not node.status().ready
    await node.pass_time(10)
    assert node.condition("Ready") == "True"
    code[0] = 1
    await node.pass_time(10)
    assert node.condition("Ready") == "True"
    await node.pass_time(10)
    assert node.condition("Ready") == "False"
    assert node.status().restart_count == 0


async def test_a_dead_container_is_killed_with_the_probes_own_grace(node: Any, make_pod: Make) -> None:
    node.runtime.exec_script = lambda container, command: ExecResult(1, b"not well", b"")
    node.runtime.stubborn.add("app")
    probe = exec_probe(failure_threshold=3, initial_delay_seconds=5, termination_grace_period_seconds=4)
    await node.run(with_probes(make_pod, liveness_probe=probe))
    first = node.runtime.container_named("app").id
    await node.pass_time(24)
    assert node.happened("stop_container") == []
    await node.pass_time(1.5)
    assert ("Normal", "Killing", "Container app failed liveness probe, will be restarted") in node.events.seen
    unhealthy = [text for _, reason, text in node.events.seen if reason == "Unhealthy"]
    assert unhealthy == ["Liveness probe failed: not well"] * 3
    await node.pass_time(4)
    assert node.runtime.container_named("app").id != first
    assert node.status().restart_count == 1
    assert node.status().last_state.terminated.exit_code == 137


async def test_startup_holds_the_other_probes_back(node: Any, make_pod: Make) -> None:
    asked: list[str] = []
    code = {"start": 1, "live": 0}

    def script(container: Any, command: Any) -> ExecResult:
        asked.append(command[0])
        return ExecResult(code[command[0]], b"", b"")

    node.runtime.exec_script = script
    startup = v1.Probe(exec=v1.ExecAction(command=("start",)), period_seconds=1, failure_threshold=30)
    liveness = v1.Probe(exec=v1.ExecAction(command=("live",)), period_seconds=1)
    await node.run(with_probes(make_pod, startup_probe=startup, liveness_probe=liveness))
    await node.pass_time(5)
    assert set(asked) == {"start"}
    assert (node.status().started, node.status().ready) == (False, False)
    code["start"] = 0
    await node.pass_time(1)
    assert (node.status().started, node.status().ready) == (True, True)
    count = asked.count("start")
    await node.pass_time(3)
    assert asked.count("start") == count
    assert asked.count("live") >= 3


async def test_a_startup_that_never_comes_kills(node: Any, make_pod: Make) -> None:
    node.runtime.exec_script = lambda container, command: ExecResult(1, b"", b"")
    await node.run(with_probes(make_pod, startup_probe=exec_probe(period_seconds=1, failure_threshold=3)))
    await node.pass_time(3)
    assert ("Normal", "Killing", "Container app failed startup probe, will be restarted") in node.events.seen


async def test_an_ending_pod_is_not_killed_for_its_health(node: Any, make_pod: Make) -> None:
    node.runtime.exec_script = lambda container, command: ExecResult(1, b"", b"")
    node.runtime.stubborn.add("app")
    await node.run(with_probes(make_pod, liveness_probe=exec_probe(period_seconds=5, failure_threshold=2)))
    node.api.ask_deletion(grace=60)
    await node.pass_time(30)
    assert node.running() == ["app"]
    assert not any("liveness" in text for _, _, text in node.events.seen if "Killing" in text)


async def test_a_pod_that_was_ending_when_the_kubelet_came_is_not_asked_for_its_life(node: Any, make_pod: Make) -> None:
    node.runtime.stubborn.add("app")
    await node.run(with_probes(make_pod, liveness_probe=exec_probe(period_seconds=1)))
    await node.stop()
    node.api.ask_deletion(grace=20)
    asked = len(node.happened("exec"))
    await node.start()
    await node.pass_time(10)
    assert node.running() == ["app"]
    assert len(node.happened("exec")) == asked


async def test_readiness_survives_the_kubelets_restart(node: Any, make_pod: Make) -> None:
    node.runtime.exec_script = lambda container, command: ExecResult(0, b"", b"")
    await node.run(with_probes(make_pod, readiness_probe=exec_probe(), startup_probe=exec_probe()))
    assert node.condition("Ready") == "True"
    patches = len(node.api.patches)
    await node.stop()
    await node.start()
    written = [patch for noun, _, patch in node.api.patches[patches:] if noun == "pods"]
    assert written == []
    assert node.condition("Ready") == "True"


async def test_a_readiness_gate_waits_for_its_condition(node: Any, make_pod: Make) -> None:
    from msgspec.structs import replace

    await node.run(make_pod(readiness_gates=(v1.PodReadinessGate(condition_type="load-balancer"),)))
    assert (node.condition("ContainersReady"), node.condition("Ready")) == ("True", "False")
    pod = node.api.pod()
    gate = v1.PodCondition(type="load-balancer", status="True")
    node.api.put(replace(pod, status=replace(pod.status, conditions=(*pod.status.conditions, gate))))
    await node.settle()
    assert node.condition("Ready") == "True"
    assert node.condition("load-balancer") == "True"


# -- the tally ------------------------------------------------------------------------------------------------

verdicts = st.lists(st.sampled_from(list(Verdict)), max_size=20)


@given(verdicts, st.integers(1, 3), st.integers(1, 3))
def test_a_result_needs_its_threshold_in_a_row(answers: list[Verdict], successes: int, failures: int) -> None:
    timing = Timing.of(v1.Probe(success_threshold=successes, failure_threshold=failures))
    tally = Tally(timing)
    needed = {Verdict.SUCCESS: successes, Verdict.FAILURE: failures}
    known: list[Verdict] = []
    for answer in answers:
        found = tally.count(answer)
        if answer is Verdict.UNKNOWN:
            assert found is None
            continue
        known.append(answer)
        row = known[-needed[answer] :]
        complete = len(row) == needed[answer] and set(row) == {answer}
        assert found is (answer if complete else None)


# -- how: http, tcp, grpc, exec ---------------------------------------------------------------------------------


def target(port: int = 0) -> ProbeTarget:
    ports = (v1.ContainerPort(name="web", container_port=port),) if port else ()
    return ProbeTarget(v1.Container(name="app", image="app:1", ports=ports), "id", "127.0.0.1")


@pytest.fixture
async def http_port() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == "/redirect":
            raise web.HTTPFound("/ok")
        if path == "/away":
            raise web.HTTPFound("http://192.0.2.1/elsewhere")
        if path == "/loop":
            raise web.HTTPFound("/loop")
        if path == "/slow":
            await asyncio.Event().wait()
        status = {"/bad": 503}.get(path, 200)
        return web.Response(status=status, text=request.headers.get("X-Mark", "") + request.headers["User-Agent"])

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def probe_http(port: int, path: str, **fields: Any) -> Any:
    action = v1.HTTPGetAction(path=path, port="web", **fields)
    return await ask(v1.Probe(http_get=action, timeout_seconds=1), target(port), None)  # type: ignore[arg-type]


async def test_http_statuses_decide(http_port: int) -> None:
    header = v1.HTTPHeader(name="X-Mark", value="mark-")
    found = await probe_http(http_port, "/ok", http_headers=(header,))
    assert (found.verdict, found.output) == (Verdict.SUCCESS, "mark-kube-probe/1.36")
    assert (await probe_http(http_port, "/redirect")).verdict is Verdict.SUCCESS
    assert (await probe_http(http_port, "/away")).verdict is Verdict.SUCCESS
    bad = await probe_http(http_port, "/bad")
    assert (bad.verdict, bad.output) == (Verdict.FAILURE, "HTTP probe failed with statuscode: 503")
    assert "stopped after 10 redirects" in (await probe_http(http_port, "/loop")).output


async def test_http_failures_are_worded_as_upstream(http_port: int) -> None:
    slow = await probe_http(http_port, "/slow")
    assert slow.output == (
        f'Get "http://127.0.0.1:{http_port}/slow": '
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )
    refused = await probe_http(1, "/")
    assert refused.output == 'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused'
    action = v1.HTTPGetAction(path="/", port="nobody")
    unknown = await ask(v1.Probe(http_get=action), target(), None)  # type: ignore[arg-type]
    assert (unknown.verdict, unknown.output) == (Verdict.FAILURE, "couldn't find port: nobody")


async def test_tcp_is_open_or_closed(http_port: int) -> None:
    opened = await ask(v1.Probe(tcp_socket=v1.TCPSocketAction(port=http_port)), target(), None)  # type: ignore[arg-type]
    assert opened.verdict is Verdict.SUCCESS
    closed = await ask(v1.Probe(tcp_socket=v1.TCPSocketAction(port=1)), target(), None)  # type: ignore[arg-type]
    assert closed.output == "dial tcp 127.0.0.1:1: connect: connection refused"


async def test_exec_tells_output_timeout_and_trouble(node: Any, make_pod: Make) -> None:
    await node.run(make_pod())
    container = ProbeTarget(v1.Container(name="app"), node.runtime.container_named("app").id, "")
    node.runtime.exec_script = lambda each, command: ExecResult(2, b"out", b"err")
    found = await ask(exec_probe(), container, node.runtime)
    assert (found.verdict, found.output) == (Verdict.FAILURE, "outerr")

    def late(each: Any, command: Any) -> ExecResult:
        raise TimeoutError

    node.runtime.exec_script = late
    found = await ask(exec_probe(timeout_seconds=3), container, node.runtime)
    assert found.output == 'command timed out: "check" timed out after 3s'
    node.exit("app", 0)
    assert (await ask(exec_probe(), container, node.runtime)).verdict is Verdict.UNKNOWN


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def health_server(answer: bytes, seen: list[bytes]) -> Serve:
    """Speaks as much HTTP/2 as a health check sees; ``answer`` is what comes after the request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readexactly(len(grpc.PREFACE)))
        writer.write(grpc.frame(grpc.SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64"))
        kind = -1
        while kind != grpc.DATA:
            head = await reader.readexactly(9)
            kind = head[3]
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        seen.append(payload)
        writer.write(grpc.frame(grpc.PING, 0, 0, b"12345678") + answer)
        await writer.drain()
        writer.close()

    return serve


def health_message(state: int) -> bytes:
    message = bytes((0x08, state)) if state else b""
    return grpc.frame(grpc.DATA, 0, 1, b"\x00" + struct.pack(">I", len(message)) + message)


async def probe_grpc(answer: bytes, service: str = "") -> tuple[Any, list[bytes]]:
    seen: list[bytes] = []
    async with listening(health_server(answer, seen)) as port:
        action = v1.GRPCAction(port=port, service=service)
        found = await ask(v1.Probe(grpc=action, timeout_seconds=5), target(), None)  # type: ignore[arg-type]
    return found, seen


async def test_grpc_health_is_asked_by_name() -> None:
    found, seen = await probe_grpc(grpc.frame(grpc.HEADERS, 4, 1, b"\x88") + health_message(1), "my.service")
    assert found.verdict is Verdict.SUCCESS
    assert seen[1] == b"\x00" + struct.pack(">I", 12) + b"\x0a\x0amy.service"


async def test_grpc_that_does_not_serve_fails_and_says_why() -> None:
    not_serving, _ = await probe_grpc(health_message(2))
    assert not_serving.verdict is Verdict.FAILURE
    assert not_serving.output == 'service unhealthy (responded with "NOT_SERVING")'
    nothing, _ = await probe_grpc(grpc.frame(grpc.HEADERS, grpc.END_STREAM | grpc.END_HEADERS, 1, b"\x88"))
    assert "does not implement the grpc health protocol" in nothing.output
    closed, _ = await probe_grpc(b"")
    assert "connection closed" in closed.output
    endless, _ = await probe_grpc(grpc.frame(grpc.DATA, 0, 1, b"\0\xff\xff\xff\xff" + b"x" * 60_000) * 2)
    assert "too long" in endless.output


async def test_grpc_without_a_listener_names_the_address() -> None:
    async with listening(health_server(b"", [])) as port:
        pass
    found = await ask(v1.Probe(grpc=v1.GRPCAction(port=port)), target(), None)  # type: ignore[arg-type]
    assert found.output.startswith(f'timeout: failed to connect service "127.0.0.1:{port}" within 1s')
