"""Processes known for certain, their ends, their streams; and events that nobody misses."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from podkeeper.runtime.cri import EventKind, RuntimeEvent
from podkeeper.runtime.engine.console import ConsoleSocket
from podkeeper.runtime.engine.events import EventHub
from podkeeper.runtime.engine.processes import (
    ExitWatch,
    ProcessIdentity,
    Streams,
    run,
    spawn,
    uninterrupted,
)
from podkeeper.runtime.engine.streams import InputStream, OutputStreams


def event(number: int) -> RuntimeEvent:
    return RuntimeEvent(EventKind.STARTED, f"s{number}", "uid")


async def test_everyone_sees_every_event_from_the_moment_of_asking() -> None:
    hub = EventHub()
    early = hub.subscribe()
    hub.announce(event(1))
    late = hub.subscribe()
    hub.announce(event(2))
    hub.close()
    assert [each async for each in early] == [event(1), event(2)]
    assert [each async for each in late] == [event(2)]
    assert [each async for each in late] == []


async def test_a_forgotten_listener_costs_nothing() -> None:
    hub = EventHub()
    subscription = hub.subscribe()
    assert len(hub._subscriptions) == 1
    del subscription
    gc.collect()
    assert len(hub._subscriptions) == 0


async def test_a_process_is_known_by_its_start_and_its_boot() -> None:
    process = subprocess.Popen(["sleep", "1000"])
    identity = ProcessIdentity.of(process.pid)
    assert identity.alive()
    assert not replace(identity, start=identity.start - 1).alive()
    assert not replace(identity, boot="another").alive()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.alive(), "a zombie does not run"
    process.wait()
    assert not identity.alive()
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(process.pid)


async def test_a_watch_calls_back_once_at_the_end() -> None:
    child = spawn(["sleep", "1000"])
    calls: list[int] = []
    watch = ExitWatch(ProcessIdentity.of(child.pid), lambda: calls.append(1))
    assert watch.alive
    watch.signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        await watch.wait()
        assert await child.wait() == 128 + signal.SIGTERM
    assert (watch.alive, calls) == (False, [1])
    watch.signal(signal.SIGTERM)
    watch.close()


async def test_a_watch_over_what_has_ended_does_not_call() -> None:
    child = spawn(["true"])
    identity = ProcessIdentity.of(child.pid)
    assert await child.wait() == 0
    calls: list[int] = []
    watch = ExitWatch(identity, lambda: calls.append(1))
    await watch.wait()
    assert (watch.alive, calls) == (False, [])


async def test_a_closed_watch_leaves_its_process_alone() -> None:
    child = spawn(["sleep", "1000"])
    calls: list[int] = []
    ExitWatch(ProcessIdentity.of(child.pid), lambda: calls.append(1)).close()
    child.kill()
    assert await child.wait() == 137
    assert calls == []


async def test_children_have_a_session_of_their_own_and_no_signal_ignored() -> None:
    read, write = os.pipe()
    child = spawn([sys.executable, "-c", PROBE], Streams(stdout=write))
    os.close(write)
    output = OutputStreams({1: read})
    async with asyncio.timeout(10):
        seen = await output.read()
    assert seen == (1, b"True 0\n")
    assert await child.wait() == 0
    output.close()


PROBE = """
import os
ignored = next(line for line in open("/proc/self/status") if line.startswith("SigIgn"))
# Python itself ignores SIGPIPE (13) and SIGXFSZ (25); 32 and 33 are the C library's own, which nobody can reset.
others = int(ignored.split()[1], 16) & ~(1 << 12 | 1 << 24 | 1 << 31 | 1 << 32)
os.write(1, f"{os.getsid(0) == os.getpid()} {others}\\n".encode())
"""


async def test_any_number_may_wait_for_a_child() -> None:
    child = spawn(["sleep", "1000"])
    waiting = [asyncio.ensure_future(child.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert child.running
    child.kill()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 10) == [137, 137, 137]
    child.kill()
    assert not child.running


async def test_a_program_runs_to_its_end_with_both_outputs() -> None:
    done = await run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.code, done.output, done.errors) == (3, b"out\n", b"err\n")


async def test_cancelling_a_run_kills_the_program(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    task = asyncio.ensure_future(run(["sh", "-c", f"exec 9<>{tmp_path}/alive; echo $$ >&9; exec sleep 1000"]))
    output = OutputStreams({1: os.open(tmp_path / "alive", os.O_RDWR)})
    async with asyncio.timeout(10):
        told = await output.read()
        assert told is not None
        identity = ProcessIdentity.of(int(told[1]))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ExitWatch(identity, lambda: None).wait()
    output.close()


async def test_what_must_not_be_interrupted_ends_before_the_cancellation_takes_effect() -> None:
    steps, proceed = list[str](), asyncio.Event()

    async def work() -> None:
        steps.append("begun")
        await proceed.wait()
        steps.append("done")

    task = asyncio.ensure_future(uninterrupted(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert (steps, task.done()) == (["begun"], False)
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["begun", "done"]


async def test_output_is_read_from_each_stream_to_its_end() -> None:
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    output = OutputStreams({1: out, 2: err})
    assert output.read_nowait() is None
    os.write(write_err, b"problem")
    assert await output.read() == (2, b"problem")
    os.close(write_err)
    os.write(write_out, b"result")
    assert await output.read() == (1, b"result")
    os.close(write_out)
    assert await output.read() is None
    output.close()


async def test_input_waits_for_its_reader_and_drops_what_nobody_takes() -> None:
    read, write = os.pipe()
    stream = InputStream(write)
    task = asyncio.ensure_future(stream.write(b"x" * (1 << 20)))
    seen = 0
    while seen < 1 << 20:
        seen += len(await asyncio.to_thread(os.read, read, 1 << 16))
    await asyncio.wait_for(task, 10)
    os.close(read)
    await stream.write(b"nobody reads")
    stream.close()
    stream.close()
    await stream.write(b"closed")
    await InputStream(None).write(b"no input at all")


async def test_a_terminal_arrives_by_its_socket_however_long_the_path(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    console = ConsoleSocket(directory)
    sender = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); socket.send_fds(s, [b'x'], [0])"
    )
    read, write = os.pipe()
    child = spawn([sys.executable, "-c", sender, console.path], Streams(stdin=read))
    async with asyncio.timeout(10):
        received = await console.receive()
        assert await child.wait() == 0
    assert os.fstat(received).st_ino == os.fstat(read).st_ino
    for descriptor in (received, read, write):
        os.close(descriptor)
    console.close()
    console.close()
    assert os.listdir(directory) == []
