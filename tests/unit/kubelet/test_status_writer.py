"""The status patch and its writer: only what changed, one write at a time, the newest wish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from podkeeper.api import schema
from podkeeper.api.core import v1
from podkeeper.api.patches import strategic
from podkeeper.client.api import ConnectionFailed
from podkeeper.kubelet.status_writer import StatusWriter, status_patch

Make = Callable[..., v1.Pod]
POD = schema.for_kind("", "v1", "Pod")

words = st.sampled_from(["a", "b", "c"])
kinds = st.sampled_from(["a", "b", "PodResizePending"])
condition = st.fixed_dictionaries(
    {"type": kinds, "status": st.sampled_from(["True", "False"])}, optional={"reason": words, "message": words}
)
conditions = st.lists(condition, max_size=3, unique_by=lambda each: each["type"])
addresses = st.lists(st.fixed_dictionaries({"ip": words}), max_size=3, unique_by=lambda each: each["ip"])
statuses = st.fixed_dictionaries(
    {},
    optional={
        "phase": words,
        "conditions": conditions,
        "podIPs": addresses,
        "containerStatuses": st.lists(st.fixed_dictionaries({"name": words}), max_size=2),
    },
)


@settings(max_examples=150)
@given(statuses, statuses)
def test_the_patch_leads_from_one_status_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    patched = strategic.apply({"status": before}, {"status": status_patch(before, after)}, POD)["status"]
    kept = {each["type"]: each for each in before.get("conditions", [])}
    kept.pop("PodResizePending", None)  # ours alone, it goes when we no longer say it
    wanted = kept | {each["type"]: each for each in after.get("conditions", [])}  # others' conditions stay
    assert {each["type"]: each for each in patched.get("conditions", [])} == wanted
    assert {each["ip"] for each in patched.get("podIPs", [])} == {each["ip"] for each in after.get("podIPs", [])}
    for key in ("phase", "containerStatuses"):
        assert patched.get(key) == after.get(key)


def test_nothing_changed_is_no_patch() -> None:
    tree = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert status_patch(tree, dict(tree)) == {}


async def test_wishes_that_come_while_one_is_written_become_one(fake_api: Any, clock: Any, make_pod: Make) -> None:
    pod = fake_api.put(make_pod())
    writer = StatusWriter(fake_api, pod, clock)
    gate = asyncio.Event()

    async def wait(patch: Any) -> None:
        await gate.wait()

    fake_api.on_patch = wait
    task = asyncio.create_task(writer.run())
    for phase in ("one", "two", "three", "four"):
        writer.wish(v1.PodStatus(phase=phase))
        await clock.settle()
    gate.set()
    await writer.settled()
    task.cancel()
    assert [patch["status"]["phase"] for _, _, patch in fake_api.patches] == ["one", "four"]
    assert fake_api.pod().status.phase == "four"


async def test_a_lost_connection_is_no_lost_status(fake_api: Any, clock: Any, make_pod: Make) -> None:
    pod = fake_api.put(make_pod())
    writer = StatusWriter(fake_api, pod, clock)
    failures = [ConnectionFailed("refused")] * 2

    async def fail(patch: Any) -> None:
        if failures:
            raise failures.pop()

    fake_api.on_patch = fail
    task = asyncio.create_task(writer.run())
    writer.wish(v1.PodStatus(phase="Running"))
    await clock.settle()
    assert fake_api.pod().status.phase == ""
    await clock.advance(2)
    await writer.settled()
    task.cancel()
    assert fake_api.pod().status.phase == "Running"


async def test_a_namesake_is_never_written(fake_api: Any, clock: Any, make_pod: Make) -> None:
    old = fake_api.put(make_pod())
    writer = StatusWriter(fake_api, old, clock)
    fake_api.put(replace(old, metadata=replace(old.metadata, uid="another")))
    task = asyncio.create_task(writer.run())
    writer.wish(v1.PodStatus(phase="Failed"))
    await writer.settled()
    assert writer.gone
    assert fake_api.pod().status.phase == ""
    await task
