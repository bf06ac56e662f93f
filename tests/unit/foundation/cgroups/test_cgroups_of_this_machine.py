"""Whatever version this machine has: groups are made, filled, limited, emptied and removed."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator

import pytest

from podkeeper.foundation.cgroups import Cgroups, Limits, open_cgroups

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root")


@pytest.fixture
async def group() -> AsyncIterator[tuple[Cgroups, str]]:
    cgroups, path = open_cgroups(), f"/podkeeper-test-{secrets.token_hex(4)}"
    yield cgroups, path
    await cgroups.remove(path)
    assert not cgroups.exists(path)


async def test_a_group_lives_and_goes_with_all_that_is_in_it(group: tuple[Cgroups, str]) -> None:
    cgroups, path = group
    cgroups.create(f"{path}/pod/container", Limits(cpu_shares=512, memory=64 << 20, pids=20))
    cgroups.create(f"{path}/pod/container", Limits(memory=32 << 20))
    assert cgroups.children(path) == ["pod"]
    processes = [subprocess.Popen(["sleep", "1000"]) for _ in range(3)]
    for process in processes:
        cgroups.attach(f"{path}/pod/container", process.pid)
    assert cgroups.processes(path) == sorted(process.pid for process in processes)
    assert cgroups.usage(f"{path}/pod").pids == 3
    async with asyncio.timeout(20):
        await cgroups.kill(path)
    assert [process.wait() for process in processes] == [-signal.SIGKILL] * 3
    assert cgroups.processes(path) == []
    async with asyncio.timeout(20):
        await cgroups.remove(path)
    assert not cgroups.exists(path)


async def test_processes_that_fork_all_the_time_are_killed_too(group: tuple[Cgroups, str]) -> None:
    cgroups, path = group
    cgroups.create(path, Limits(pids=30))
    script = "read line; f() { f & f & sleep 0.01; wait; }; f"
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    cgroups.attach(path, process.pid)
    process.stdin.close()
    async with asyncio.timeout(30):
        await cgroups.kill(path)
    assert cgroups.processes(path) == []
    assert process.wait() == -signal.SIGKILL


async def test_a_process_that_is_gone_is_not_moved_and_a_group_that_is_not_there_is_removed(
    group: tuple[Cgroups, str],
) -> None:
    cgroups, path = group
    cgroups.create(path)
    process = subprocess.Popen(["true"])
    process.wait()
    cgroups.attach(path, process.pid)
    await cgroups.remove(f"{path}/nothing")
    await cgroups.kill(f"{path}/nothing")
