"""What goes in and out of containers: logs, exec with and without a terminal, attach, forwarded ports."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from podkeeper.runtime.cri import ContainerConfig, ContainerStatus, Process, SandboxConfig
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.testing.scratch_engine import ScratchEngine, scratch_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")


@pytest.fixture
async def scratch(tmp_path: Path) -> AsyncIterator[ScratchEngine]:
    async with scratch_engine(tmp_path) as opened:
        yield opened


async def running(scratch: ScratchEngine, script: str = "exec sleep 1000", **options: bool) -> ContainerStatus:
    sandbox_id = await scratch.engine.run_sandbox(SandboxConfig("pod", "default", "uid-1", log_directory=scratch.logs))
    infra = (await scratch.engine.sandbox_status(sandbox_id)).pid
    loopback_up = ["nsenter", f"--net=/proc/{infra}/ns/net", "ip", "link", "set", "lo", "up"]
    await asyncio.to_thread(subprocess.run, loopback_up, check=True)
    config = ContainerConfig("main", scratch.image, command=["sh", "-c", script], log_path="main/0.log")
    container_id = await scratch.engine.create_container(sandbox_id, replace(config, **options))  # type: ignore[arg-type]
    await scratch.engine.start_container(container_id)
    return await scratch.engine.container_status(container_id)


async def read_until(process: Process, text: bytes) -> bytes:
    """Reads stdout until ``text`` has come."""
    seen = b""
    async with asyncio.timeout(20):
        while text not in seen:
            piece = await process.read()
            assert piece is not None, seen
            seen += piece[1]
    return seen


async def read_all(process: Process) -> dict[int, bytes]:
    """Reads both streams to their ends."""
    seen = {1: b"", 2: b""}
    async with asyncio.timeout(20):
        while piece := await process.read():
            seen[piece[0]] += piece[1]
    return seen


async def run_to_end(scratch: ScratchEngine, container_id: str, command: str, *, tty: bool) -> int:
    """Runs a command as an interactive client does."""
    process = await scratch.engine.exec(container_id, [command], tty=tty, stdin=False)
    try:
        await read_all(process)
        return await process.wait()
    finally:
        await process.close()


async def test_exec_separates_streams_and_keeps_the_exit_code(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    process = await scratch.engine.exec(
        container.id, ["sh", "-c", "echo out; echo err >&2; exit 3"], tty=False, stdin=False
    )
    assert await read_all(process) == {1: b"out\n", 2: b"err\n"}
    assert await process.wait() == 3
    await process.close()


async def test_exec_takes_stdin_to_its_end(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    process = await scratch.engine.exec(container.id, ["wc", "-c"], tty=False, stdin=True)
    for _ in range(16):
        await process.write(b"x" * 65536)
    await process.close_stdin()
    assert (await read_all(process))[1].strip() == b"1048576"
    assert await process.wait() == 0
    await process.write(b"too late")
    await process.close_stdin()
    await process.close()


async def test_exec_on_a_terminal_has_a_size_that_changes(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    process = await scratch.engine.exec(container.id, ["sh"], tty=True, stdin=True)
    process.resize(132, 43)
    await process.write(b"tty; stty size\n")
    seen = await read_until(process, b"43 132")
    assert b"/dev/pts/" in seen
    await process.write(b"exit 4\n")
    assert await process.wait() == 4
    await process.close()


async def test_the_end_of_input_ends_a_shell_on_a_terminal(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    process = await scratch.engine.exec(container.id, ["sh"], tty=True, stdin=True)
    await read_until(process, b"#")
    await process.close_stdin()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    await process.close()


@pytest.mark.parametrize("tty", [False, True])
async def test_closing_an_exec_kills_its_command(scratch: ScratchEngine, tty: bool) -> None:
    container = await running(scratch)
    process = await scratch.engine.exec(container.id, ["sh", "-c", "echo up; exec sleep 999"], tty=tty, stdin=False)
    await read_until(process, b"up")
    await process.close()
    assert b"sleep 999" not in (await scratch.engine.exec_sync(container.id, ["ps"], 20)).stdout


@pytest.mark.parametrize("tty", [False, True])
async def test_a_command_that_is_not_there_cannot_be_run(scratch: ScratchEngine, tty: bool) -> None:
    container = await running(scratch)
    with pytest.raises(RuntimeFailure, match="no-such-program"):
        await run_to_end(scratch, container.id, "/no-such-program", tty=tty)
    with pytest.raises(RuntimeFailure, match="no-such-program"):
        await scratch.engine.exec_sync(container.id, ["/no-such-program"], 20)


async def test_a_synchronous_command_is_killed_when_its_time_is_over(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    with pytest.raises(TimeoutError):
        await scratch.engine.exec_sync(container.id, ["sleep", "999"], 0.3)
    assert b"sleep 999" not in (await scratch.engine.exec_sync(container.id, ["ps"], 20)).stdout
    directory = scratch.directory / "engine" / "containers" / container.id
    assert not list(directory.glob("exec-*"))


async def test_a_process_left_behind_does_not_hold_a_synchronous_command_back(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    result = await asyncio.wait_for(
        scratch.engine.exec_sync(container.id, ["sh", "-c", "echo done; sleep 999 &"], 0), timeout=20
    )
    assert result.stdout == b"done\n"


async def test_output_of_a_synchronous_command_is_bounded(scratch: ScratchEngine) -> None:
    container = await running(scratch)
    result = await scratch.engine.exec_sync(container.id, ["head", "-c", str(17 << 20), "/dev/zero"], 30)
    assert (result.exit_code, len(result.stdout)) == (0, 16 << 20)


async def test_attach_reaches_the_containers_own_streams(scratch: ScratchEngine) -> None:
    container = await running(scratch, "while read line; do echo got $line; done; exit 6", stdin=True, stdin_once=True)
    process = await scratch.engine.attach(container.id)
    await process.write(b"hello\n")
    assert await read_until(process, b"got hello\n") == b"got hello\n"
    await process.close_stdin()
    assert await read_all(process) == {1: b"", 2: b""}
    assert await process.wait() == 0
    await process.close()
    async with asyncio.timeout(20):
        while (await scratch.engine.container_status(container.id)).exit_code != 6:
            await asyncio.sleep(0)


@pytest.mark.parametrize("options", [{}, {"stdin_once": True, "tty": True}], ids=["for-many", "terminal"])
async def test_the_end_of_its_input_lets_a_client_go(scratch: ScratchEngine, options: dict[str, bool]) -> None:
    container = await running(scratch, "while read line; do echo got $line; done", stdin=True, **options)
    first = await scratch.engine.attach(container.id)
    await first.write(b"one\n")
    await read_until(first, b"got one")
    await first.close_stdin()
    await asyncio.wait_for(read_all(first), 20)
    await first.close()
    second = await scratch.engine.attach(container.id)
    await second.write(b"two\n")
    await read_until(second, b"got two")
    await second.close()


async def test_letting_go_of_an_attached_container_leaves_it_running(scratch: ScratchEngine) -> None:
    container = await running(scratch, "while read line; do echo got $line; done", stdin=True)
    first = await scratch.engine.attach(container.id)
    await first.close()
    second = await scratch.engine.attach(container.id)
    await second.write(b"again\n")
    await read_until(second, b"got again")
    await second.close()


async def test_an_attached_terminal_can_be_resized(scratch: ScratchEngine) -> None:
    container = await running(scratch, "while read line; do stty size; done", stdin=True, tty=True)
    process = await scratch.engine.attach(container.id)
    process.resize(90, 33)
    async with asyncio.timeout(20):
        seen = b""
        while b"33 90" not in seen:  # the monitor sets the size when it comes to it
            await process.write(b"\n")
            seen += (await process.read() or (1, b""))[1]
    await process.close()


async def test_a_log_is_continued_in_a_new_file_after_rotation(scratch: ScratchEngine) -> None:
    container = await running(scratch, "while read line; do echo $line; done", stdin=True)
    process = await scratch.engine.attach(container.id)
    await process.write(b"first\n")
    await read_until(process, b"first")
    log = Path(container.log_path)
    log.rename(log.with_suffix(".1"))
    await scratch.engine.reopen_log(container.id)
    async with asyncio.timeout(20):
        while not log.exists():  # the monitor opens the new file when it comes to it
            await process.write(b"second\n")
            await read_until(process, b"second")
        await process.write(b"third\n")
        await read_until(process, b"third")
    assert "first" in log.with_suffix(".1").read_text()
    assert log.read_text().splitlines()[-1].endswith("stdout F third")
    await process.close()


async def test_ports_are_forwarded_into_the_sandbox(scratch: ScratchEngine) -> None:
    container = await running(scratch, "exec nc -ll -p 8080 -e cat")
    before = os.readlink("/proc/self/ns/net")
    async with asyncio.timeout(20):
        while True:  # nc listens when it comes to it
            try:
                connection = await scratch.engine.port_forward(container.sandbox_id, 8080)
                break
            except RuntimeFailure:
                continue
    await connection.write(b"echo?")
    assert await read_until(connection, b"echo?") == b"echo?"
    await connection.close_stdin()
    assert await read_all(connection) == {1: b"", 2: b""}
    assert await connection.wait() == 0
    await connection.close()
    assert {os.readlink(f"/proc/self/task/{task}/ns/net") for task in os.listdir("/proc/self/task")} == {before}
    with pytest.raises(RuntimeFailure, match="localhost:8081"):
        await scratch.engine.port_forward(container.sandbox_id, 8081)
