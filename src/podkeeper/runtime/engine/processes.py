"""Starting system programs and knowing processes for certain.

A process id can be used again; a process is known for certain by its id, its start time and the boot it belongs to.
Exits are told by pidfds: nothing is polled and no thread waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

_STAT_START_TIME = 19  # of the fields after the command's closing parenthesis: proc(5) counts it as number 22
_STAT_STATE = 0

T = TypeVar("T")


@cache
def boot_id() -> str:
    """The kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class ProcessIdentity(Struct, frozen=True):
    """One process of one boot. ``start`` is its start time in clock ticks since the boot."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has ``pid`` now. ProcessLookupError when there is none."""
        return cls(pid, int(_stat(pid)[_STAT_START_TIME]), boot_id())

    def open(self) -> int | None:
        """A pidfd of exactly this process; None when it is gone or another one has its id. The caller closes it."""
        if self.boot != boot_id():
            return None
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        try:
            fields = _stat(self.pid)
        except ProcessLookupError:
            fields = []
        if not fields or int(fields[_STAT_START_TIME]) != self.start or fields[_STAT_STATE] in "ZX":
            os.close(descriptor)
            return None
        return descriptor

    def alive(self) -> bool:
        """Whether it runs still (a zombie does not)."""
        descriptor = self.open()
        if descriptor is None:
            return False
        os.close(descriptor)
        return True


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(pid) from error
    return text[text.rindex(")") + 2 :].split()


def identity_in(file: Path) -> ProcessIdentity | None:
    """The process that a pid file names; None when there is no such file or process."""
    try:
        return ProcessIdentity.of(int(file.read_text()))
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None


class Child:
    """A process that we started, collected as soon as it ends. Ended by a signal, its code is 128 + signal."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self.pid = process, process.pid
        self._descriptor = os.pidfd_open(process.pid)
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._collect)

    def __repr__(self) -> str:
        return f"Child({self.pid}, {self._process.args!r}, returncode={self._process.returncode})"

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    async def wait(self) -> int:
        """The exit code, once it has ended. Any number of callers may wait."""
        await self._ended.wait()
        code: int = self._process.returncode
        return code if code >= 0 else 128 - code

    def stop(self) -> None:
        """SIGSTOP, unless it has ended."""
        if self.running:
            signal.pidfd_send_signal(self._descriptor, signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        if self.running:
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def _collect(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._process.wait()
        self._ended.set()


class Streams(Struct, frozen=True):
    """Descriptors for a child's standard streams; None is /dev/null."""

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None


DETACHED = Streams()


class Completed(Struct, frozen=True):
    """A program that ran to its end."""

    code: int
    output: bytes
    errors: bytes


def spawn(
    command: Sequence[str],
    streams: Streams = DETACHED,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    pass_descriptors: Sequence[int] = (),
) -> Child:
    """Starts a program in a session of its own, so that what a terminal sends to us does not reach it."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if streams.stdin is None else streams.stdin,
        stdout=subprocess.DEVNULL if streams.stdout is None else streams.stdout,
        stderr=subprocess.DEVNULL if streams.stderr is None else streams.stderr,
        cwd=directory,
        env=environment,
        pass_fds=pass_descriptors,
        start_new_session=True,
    )
    return Child(process)


async def run(command: Sequence[str], *, directory: Path | None = None) -> Completed:
    """Runs a program whose output is small. Cancelling kills it."""
    output, errors = os.memfd_create("output"), os.memfd_create("errors")
    try:
        child = spawn(command, Streams(stdout=output, stderr=errors), directory=directory)
        try:
            code = await child.wait()
        except BaseException:
            child.kill()
            await uninterrupted(child.wait())
            raise
        return Completed(code, _content(output), _content(errors))
    finally:
        os.close(output)
        os.close(errors)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


class ExitWatch:
    """Watches one process and calls back once when it has ended; needs the running event loop."""

    def __init__(self, identity: ProcessIdentity, on_exit: Callable[[], None]) -> None:
        self.identity, self._on_exit = identity, on_exit
        self._descriptor = identity.open()
        self._ended = asyncio.Event()
        if self._descriptor is None:
            self._ended.set()
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._exited)

    def __repr__(self) -> str:
        return f"ExitWatch({self.identity.pid}, {'alive' if self.alive else 'ended'})"

    @property
    def alive(self) -> bool:
        """False from the exit on; False without a call back when it had ended before."""
        return self._descriptor is not None

    def signal(self, number: int) -> None:
        """Sends a signal; silent when the process has ended."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def wait(self) -> None:
        """Waits for the end."""
        await self._ended.wait()

    def close(self) -> None:
        """Stops watching; the process lives on."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _exited(self) -> None:
        self.close()
        self._ended.set()
        self._on_exit()


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Runs ``work`` to its end even when the caller is cancelled meanwhile; the cancellation takes effect then.

    For steps between which nothing may be left behind, such as a program that is about to start another one.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
