"""How a component hears that it should end, wherever it is just then."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from podkeeper.cluster.ending import stop_on_request, until_stopped
from podkeeper.cluster.pipes import PARENT_FD


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_body_wherever_it_waits(number: signal.Signals) -> None:
    cleared = False
    async with until_stopped():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)  # an impatient second one
            await asyncio.sleep(0)
            cleared = True
    assert cleared


async def test_the_supervisors_end_ends_the_body_and_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(PARENT_FD, str(read))
    async with until_stopped(), asyncio.TaskGroup() as tasks:
        forever = tasks.create_task(asyncio.Event().wait())
        os.close(write)
    assert forever.cancelled()
    os.close(read)


async def test_a_body_that_ends_by_itself_or_fails_does_so() -> None:
    async with until_stopped():
        pass
    with pytest.raises(TimeoutError):
        async with until_stopped():
            raise TimeoutError("of its own")


async def test_who_ends_in_steps_of_its_own_is_told() -> None:
    async with stop_on_request() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
