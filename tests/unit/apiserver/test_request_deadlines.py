"""How long requests may take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.deadlines import Deadlines, is_long_running, parse_duration
from podkeeper.apiserver.requestinfo import parse

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("32s", 32.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("500ms", 0.5), ("0", 0.0), ("-2s", -2.0), (".5s", 0.5)],
)
async def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'time: invalid duration ""'),
        ("abc", 'time: invalid duration "abc"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1s5", 'time: missing unit in duration "1s5"'),
        ("1y", 'time: unknown unit "y" in duration "1y"'),
        ("-", 'time: invalid duration "-"'),
    ],
)
async def test_what_is_no_duration_is_refused_in_gos_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="time: ") as refused:
        parse_duration(text)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("method", "path", "long"),
    [
        ("GET", "/api/v1/pods", False),
        ("GET", "/api/v1/pods?watch=1", True),
        ("GET", "/api/v1/watch/pods", True),
        ("GET", "/api/v1/namespaces/a/pods/x/log", True),
        ("POST", "/api/v1/namespaces/a/pods/x/exec", True),
        ("GET", "/api/v1/namespaces/a/services/x/proxy/y", True),
        ("PUT", "/api/v1/namespaces/a/pods/x/status", False),
    ],
)
async def test_watches_and_streams_last(method: str, path: str, long: bool) -> None:
    assert is_long_running(parse(method, path.encode())) is long


async def answered(deadlines: Deadlines, seconds: float, waits_for: asyncio.Future[None]) -> str:
    deadline = deadlines.enter(seconds)
    try:
        await waits_for
    except asyncio.CancelledError:
        refusal = deadline.refusal()
        if refusal is None:
            raise
        return refusal.message
    finally:
        deadlines.leave(deadline)
    return "in time"


async def test_who_takes_too_long_is_cut_off_and_nobody_else() -> None:
    deadlines, loop = Deadlines(60.0), asyncio.get_running_loop()
    never, soon = loop.create_future(), loop.create_future()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        patient = tasks.create_task(answered(deadlines, 60.0, soon))
        hasty = tasks.create_task(answered(deadlines, 0.01, never))
        assert await hasty == "Timeout: request did not complete within the allotted timeout"
        assert hasty.cancelling() == 0
        assert len(deadlines) == 1
        soon.set_result(None)
        assert await patient == "in time"
    assert len(deadlines) == 0
    deadlines.close()


async def test_a_client_that_leaves_is_no_timeout() -> None:
    deadlines = Deadlines(60.0)
    task = asyncio.create_task(answered(deadlines, 0.01, asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    deadlines.close()


async def test_the_query_may_ask_for_less_and_not_for_more() -> None:
    deadlines = Deadlines(60.0)
    assert deadlines.seconds(parse("GET", b"/api")) == 60.0
    assert deadlines.seconds(parse("GET", b"/api?timeout=5s")) == 5.0
    assert deadlines.seconds(parse("GET", b"/api?timeout=2m")) == 60.0
    assert deadlines.seconds(parse("GET", b"/api?timeout=0s")) == 60.0
    with pytest.raises(ApiError) as refused:
        deadlines.seconds(parse("GET", b"/api?timeout=5"))
    assert refused.value.code == 400
    deadlines.close()


async def test_a_server_answers_504_and_400(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    with monkeypatch.context() as patched:
        patched.setattr("podkeeper.registry.reading.list_items", hang)
        reply = await api("GET", "/api/v1/nodes?timeout=20ms")
    assert (reply.status, reply.tree["reason"]) == (504, "Timeout")
    assert reply.message == "Timeout: request did not complete within the allotted timeout"
    wrong = await api("GET", "/api/v1/nodes?timeout=soon")
    assert wrong.status == 400
    assert wrong.message == 'invalid timeout specified in the request URL - time: invalid duration "soon"'
