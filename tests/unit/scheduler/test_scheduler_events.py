"""What the scheduler says of pods: events of the newer API, in upstream's words, over a whole API server."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from random import Random
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.events import v1 as events
from podkeeper.client.config import ClientConfig
from podkeeper.client.informer import InformerFactory
from podkeeper.client.rest import RestApi
from podkeeper.foundation.clock import SystemClock
from podkeeper.scheduler.scheduler import Scheduler, SchedulerConfig
from podkeeper.testing.api_server import running_api_server

NODE = {"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}}}


def pod(name: str, cpu: str) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    spec = {"containers": [container], "tolerations": [{"operator": "Exists"}]}
    return {"metadata": {"name": name}, "spec": spec}


async def test_placing_and_failing_to_place_are_told_by_events_of_the_newer_api(tmp_path: Path) -> None:
    async with running_api_server(tmp_path) as server:
        authority = server.authority.certificate_pem()
        admin = RestApi(ClientConfig(server.url, ca=authority, token=server.admin_token))
        pair = server.client_pair("system:kube-scheduler")
        own = ClientConfig(
            server.url, ca=authority, certificate=pair.certificate.read_bytes(), key=pair.key.read_bytes()
        )
        api, clock = RestApi(own, name="podkeeper-scheduler"), SystemClock()
        await _post(admin, "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await _post(admin, "/api/v1/nodes", NODE)
        await admin.call("PATCH", "/api/v1/nodes/n1/status", body=_json(NODE), kind="application/merge-patch+json")
        informers = InformerFactory(api, clock)
        scheduler = Scheduler(SchedulerConfig(), api, informers, clock, Random(1))
        watching = InformerFactory(admin, clock)
        told = watching.informer(events.Event)
        found: dict[str, events.Event] = {}
        both = asyncio.Event()

        def note(_: events.Event | None, new: events.Event | None) -> None:
            if new is not None:
                found[new.reason] = new
            if len(found) == 2:
                both.set()

        told.add_handler(note)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each) for each in (informers.run(), watching.run(), scheduler.run())]
            for name, cpu in (("small", "100m"), ("large", "8")):
                await _post(admin, "/api/v1/namespaces/default/pods", pod(name, cpu))
            async with asyncio.timeout(20):
                await both.wait()
            for task in running:
                task.cancel()
        placed, failed = found["Scheduled"], found["FailedScheduling"]
        assert (placed.type, placed.action, placed.note) == (
            "Normal",
            "Binding",
            "Successfully assigned default/small to n1",
        )
        assert (failed.type, failed.action) == ("Warning", "Scheduling")
        assert failed.note.startswith("0/1 nodes are available: 1 Insufficient cpu.")
        for event in (placed, failed):
            assert event.reporting_controller == "default-scheduler"
            assert event.reporting_instance == f"default-scheduler-{socket.gethostname()}"
            assert event.event_time
            assert event.regarding.kind == "Pod"
        old = await admin.of(v1.Event).get(placed.metadata.name, "default")
        assert (old.reporting_component, old.source.component, old.count) == ("default-scheduler", "", None)
        await api.close()
        await admin.close()


async def _post(api: RestApi, path: str, tree: Any) -> None:
    await api.call("POST", path, body=_json(tree))


def _json(tree: Any) -> bytes:
    return json.dumps(tree).encode()
