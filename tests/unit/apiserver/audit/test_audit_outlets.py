"""Where audit events go: batches, a webhook, what is too long, what must be told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podkeeper.apiserver.audit.batches import Batches
from podkeeper.apiserver.audit.options import AuditOptions, BatchOptions, LogOptions, OutletOptions, WebhookOptions
from podkeeper.apiserver.audit.webhook import AuditWebhook
from podkeeper.foundation.clock import SystemClock
from podkeeper.foundation.exposition import render
from podkeeper.foundation.http import HttpServer, Request, Response
from podkeeper.testing.api_server import running_api_server
from podkeeper.testing.fake_clock import FakeClock

POLICY = "{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], rules: [{level: Request}]}"


class Collector:
    """What batches are handed on to; ``hold`` makes it slow."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.lost = 0
        self.free = asyncio.Event()
        self.free.set()

    async def deliver(self, lines: Any) -> None:
        await self.free.wait()
        self.batches.append(list(lines))

    def lose(self, count: int) -> None:
        self.lost += count


async def collecting(options: BatchOptions) -> tuple[Batches, Collector, FakeClock, asyncio.Task[None]]:
    clock, collector = FakeClock(), Collector()
    batches = Batches(options, collector.deliver, collector.lose, clock)
    return batches, collector, clock, asyncio.create_task(batches.run())


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_batch_goes_when_it_is_full_or_has_waited() -> None:
    batches, collector, clock, task = await collecting(BatchOptions(most=2, wait=30.0))
    for line in (b"a", b"b", b"c"):
        assert batches.take(line)
    await clock.settle()
    assert collector.batches == [[b"a", b"b"]]
    await clock.advance(29.0)
    assert len(collector.batches) == 1
    await clock.advance(1.0)
    assert collector.batches == [[b"a", b"b"], [b"c"]]
    await end(task)


async def test_batches_come_no_faster_than_allowed() -> None:
    batches, collector, clock, task = await collecting(BatchOptions(most=1, rate=2.0, burst=3))
    for number in range(6):
        batches.take(b"%d" % number)
    await clock.settle()
    assert len(collector.batches) == 3
    await clock.advance(0.5)
    assert len(collector.batches) == 4
    await clock.advance(1.0)
    assert len(collector.batches) == 6
    await end(task)


async def test_what_has_no_room_is_lost_and_what_waits_at_the_end_is_told() -> None:
    batches, collector, clock, task = await collecting(BatchOptions(buffer=3, most=2, wait=30.0, largest=4))
    collector.free.clear()
    assert [batches.take(line) for line in (b"aaa", b"bbb", b"c", b"d")] == [True, True, True, False]
    assert collector.lost == 1
    await clock.settle()
    closing = asyncio.create_task(batches.close())
    collector.free.set()
    await closing
    assert sorted(map(tuple, collector.batches)) == [(b"aaa",), (b"bbb", b"c")]
    assert len(batches) == 0
    await end(task)


class Server:
    """Takes events over HTTP; ``codes`` are answered first."""

    def __init__(self, directory: Path) -> None:
        self.codes: list[int] = []
        self.lists: list[Any] = []
        self.came = asyncio.Event()
        self.kubeconfig = directory / "audit.kubeconfig"

    async def handle(self, request: Request) -> Response:
        code = self.codes.pop(0) if self.codes else 200
        if code == 200:
            self.lists.append(json.loads(request.body))
            self.came.set()
        return Response(code, b"Content-Type: application/json\r\n", b"{}")


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[Server]:
    found = Server(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server, ready = HttpServer(found.handle), asyncio.Event()
        serving = asyncio.create_task(server.serve(listener, None, ready))
        await ready.wait()
        config = {
            "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{listener.getsockname()[1]}/events"}}],
            "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "current-context": "a",
        }
        found.kubeconfig.write_text(json.dumps(config))
        yield found
        serving.cancel()
        await asyncio.wait([serving])


async def test_a_webhook_is_asked_again_where_it_is_at_fault(sink: Server) -> None:
    webhook = AuditWebhook(WebhookOptions(sink.kubeconfig, 0.001), SystemClock())
    sink.codes = [500, 503]
    assert await webhook.deliver([b'{"a":1}\n', b'{"b":2}\n'])
    assert sink.lists == [
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [{"a": 1}, {"b": 2}]}
    ]
    sink.codes = [400]
    assert not await webhook.deliver([b"{}\n"])
    await webhook.close()


async def test_a_servers_events_reach_log_and_webhook_cut_where_they_are_too_long(
    sink: Server, tmp_path: Path, make_client: Any
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    log = OutletOptions(LogOptions(str(tmp_path / "audit.log")), BatchOptions(most=1, rate=0.0))
    hook = OutletOptions(WebhookOptions(sink.kubeconfig), BatchOptions(wait=30.0), longest=1500)
    options = AuditOptions(tmp_path / "policy.yaml", (log, hook))
    async with running_api_server(tmp_path / "server", audit=options) as server:
        client = make_client(server)
        long = {"metadata": {"name": "long"}, "data": {"text": "x" * 2000}}
        assert (await client("POST", "/api/v1/namespaces/default/configmaps", long)).status == 201
    (told,) = [each for each in sink.lists[0]["items"] if each["requestURI"].endswith("/configmaps")]
    assert "requestObject" not in told
    assert told["annotations"]["audit.k8s.io/truncated"] == "true"
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    (whole,) = [each for each in lines if each["requestURI"].endswith("/configmaps")]
    assert whole["requestObject"]["data"] == long["data"]
    assert "audit.k8s.io/truncated" not in whole["annotations"]


async def test_where_it_must_be_told_nothing_untold_is_done(tmp_path: Path, make_client: Any) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.replace("[RequestReceived]", "[]"))
    options = AuditOptions(tmp_path / "policy.yaml", (OutletOptions(LogOptions("/dev/full"), strict=True),))
    async with running_api_server(tmp_path / "server", audit=options) as server:
        client = make_client(server)
        reply = await client("GET", "/api/v1/pods")
        told = 'Internal Server Error: "/api/v1/pods": failed to store audit event'
        assert (reply.status, reply.message) == (500, told)
        auditor = server.server._audit  # /metrics cannot be asked either
        assert auditor is not None
        told = render(auditor.families())
        assert "apiserver_audit_requests_rejected_total 1\n" in told
        assert 'apiserver_audit_error_total{plugin="log"} ' in told
