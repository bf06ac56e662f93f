"""Commands run inside a running container: the OCI runtime's exec as our child, its streams pipes or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from podkeeper.runtime.cri import ContainerState, ExecResult
from podkeeper.runtime.engine.console import ConsoleSocket, set_size
from podkeeper.runtime.engine.containers import Container
from podkeeper.runtime.engine.oci_runtime import PID_FILE, OciRuntime
from podkeeper.runtime.engine.processes import Child, ProcessIdentity, Streams, spawn
from podkeeper.runtime.engine.streams import InputStream, OutputStreams
from podkeeper.runtime.failures import RuntimeFailure

OUTPUT_LIMIT = 16 << 20
_END_OF_TRANSMISSION = b"\x04"


class ExecRequest(Struct, frozen=True):
    """What to run where. ``bundle`` is the container's directory."""

    container: Container
    bundle: Path
    runtime: OciRuntime
    command: Sequence[str]
    tty: bool
    stdin: bool


class ExecProcess:
    """A command inside a container; see the Process Protocol. ``wait`` raises RuntimeFailure if it could not start."""

    def __init__(self, request: ExecRequest, scratch: Path, child: Child) -> None:
        self._request, self._scratch, self._child = request, scratch, child
        self._output, self._input, self._terminal = OutputStreams({}), InputStream(None), -1

    def take_streams(self, output: OutputStreams, stdin: InputStream, terminal: int = -1) -> None:
        """Hands over the streams, once they are known."""
        self._output, self._input, self._terminal = output, stdin, terminal

    async def read(self) -> tuple[int, bytes] | None:
        """See the Protocol."""
        return await self._output.read()

    def read_nowait(self) -> tuple[int, bytes] | None:
        """Output that is there already."""
        return self._output.read_nowait()

    async def write(self, data: bytes) -> None:
        """See the Protocol."""
        await self._input.write(data)

    async def close_stdin(self) -> None:
        """See the Protocol. On a terminal that is the end-of-file character, as typed."""
        if self._terminal >= 0:
            await self._input.write(_END_OF_TRANSMISSION)
        else:
            self._input.close()

    def resize(self, width: int, height: int) -> None:
        """See the Protocol."""
        if self._terminal >= 0:
            set_size(self._terminal, width, height)

    async def wait(self) -> int:
        """See the Protocol."""
        code = await self._child.wait()
        if code != 0 and self._scratch.exists() and not (self._scratch / PID_FILE).exists():
            attempt = f"run {self._request.command[0]!r} in container {self._request.container.record.config.name}"
            raise self._request.runtime.failure(attempt, self._scratch, f"exit code {code}")
        return code

    async def close(self) -> None:
        """See the Protocol."""
        self._kill()
        self._output.close()
        self._input.close()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
        await self._child.wait()
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    def _kill(self) -> None:
        if not self._child.running:
            return
        self._child.stop()  # it starts nothing more while we look
        for pid in self._command_pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if descriptor := ProcessIdentity.of(pid).open():
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    os.close(descriptor)
        self._child.kill()

    def _command_pids(self) -> list[int]:
        """The command's process: as the OCI runtime has told, or, when it has not come to that yet, its children."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return [int((self._scratch / PID_FILE).read_text())]
        with contextlib.suppress(FileNotFoundError):
            children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text()
            return [int(pid) for pid in children.split()]
        return []


async def start(request: ExecRequest) -> ExecProcess:
    """Starts a command. RuntimeFailure when the container does not run."""
    container = request.container
    if container.state is not ContainerState.RUNNING:
        raise RuntimeFailure(f"cannot exec in container {container.record.config.name}: it does not run")
    if not request.command:
        raise RuntimeFailure(f"cannot exec in container {container.record.config.name}: no command")
    scratch = request.bundle / f"exec-{secrets.token_hex(6)}"
    scratch.mkdir(mode=0o700)
    (scratch / "process.json").write_text(json.dumps(_process(request)))
    try:
        return await (_start_on_terminal(request, scratch) if request.tty else _start_on_pipes(request, scratch))
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _process(request: ExecRequest) -> dict[str, object]:
    """The container's own process section with another command: same user, environment and rights."""
    tree: dict[str, object] = json.loads((request.bundle / "config.json").read_text())["process"]
    return tree | {"args": list(request.command), "terminal": request.tty}


def _command(request: ExecRequest, scratch: Path, *options: str) -> list[str]:
    runtime, container_id = request.runtime, request.container.record.id
    arguments = ["exec", "--process", str(scratch / "process.json"), "--pid-file", str(scratch / PID_FILE)]
    return [runtime.path, *runtime.options(scratch), *arguments, *options, container_id]


async def _start_on_pipes(request: ExecRequest, scratch: Path) -> ExecProcess:
    stdin = os.pipe() if request.stdin else None
    output, errors = os.pipe(), os.pipe()
    theirs = [output[1], errors[1], *([stdin[0]] if stdin else [])]
    try:
        streams = Streams(stdin[0] if stdin else None, output[1], errors[1])
        child = spawn(_command(request, scratch), streams, directory=scratch)
    except BaseException:
        for descriptor in [output[0], errors[0], *([stdin[1]] if stdin else [])]:
            os.close(descriptor)
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    process = ExecProcess(request, scratch, child)
    process.take_streams(OutputStreams({1: output[0], 2: errors[0]}), InputStream(stdin[1] if stdin else None))
    return process


async def _start_on_terminal(request: ExecRequest, scratch: Path) -> ExecProcess:
    console = ConsoleSocket(scratch)
    try:
        child = spawn(_command(request, scratch, "--tty", "--console-socket", console.path), directory=scratch)
        process = ExecProcess(request, scratch, child)
        terminal = await _terminal_or_end(console, child)
        if terminal is None:
            await process.wait()
            raise RuntimeFailure(f"{request.runtime.name} exec ended without a terminal")
    finally:
        console.close()
    process.take_streams(
        OutputStreams({1: os.dup(terminal)}), InputStream(os.dup(terminal) if request.stdin else None), terminal
    )
    return process


async def _terminal_or_end(console: ConsoleSocket, child: Child) -> int | None:
    """The terminal, or None when the runtime ends without sending one."""
    receiving, ending = asyncio.ensure_future(console.receive()), asyncio.ensure_future(child.wait())
    try:
        await asyncio.wait([receiving, ending], return_when=asyncio.FIRST_COMPLETED)
        return receiving.result() if receiving.done() else None
    except BaseException:
        child.kill()
        raise
    finally:
        for task in (receiving, ending):
            task.cancel()
        await asyncio.wait([receiving, ending])


async def run(request: ExecRequest, timeout: float) -> ExecResult:
    """Runs a command to its end. TimeoutError after ``timeout`` seconds (0: never); it is killed then.

    A process that the command leaves behind does not hold the answer back, though it may hold the pipes.
    """
    process = await start(request)
    collected = {1: bytearray(), 2: bytearray()}
    try:
        async with asyncio.timeout(timeout or None):
            reader = asyncio.ensure_future(_collect(process, collected))
            try:
                code = await process.wait()
            finally:
                reader.cancel()
                await asyncio.wait([reader])
        while piece := process.read_nowait():
            _keep(collected, piece)
        return ExecResult(code, bytes(collected[1]), bytes(collected[2]))
    finally:
        await process.close()


async def _collect(process: ExecProcess, collected: dict[int, bytearray]) -> None:
    while piece := await process.read():
        _keep(collected, piece)


def _keep(collected: dict[int, bytearray], piece: tuple[int, bytes]) -> None:
    number, data = piece
    room = OUTPUT_LIMIT - len(collected[number])
    collected[number] += data[: max(room, 0)]
