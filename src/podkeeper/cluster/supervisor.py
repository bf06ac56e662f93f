"""The supervisor: starts the cluster's processes, starts again whatever ends, and stops them in order.

    starting --ready pipe--> ready --exit--> waiting (back-off) --deadline--> starting
    any --SIGTERM or SIGINT--> stopping: node, controllers, API server, each given time to end well

Neither asyncio nor a library is imported here: this process lives as long as the cluster and costs an interpreter.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from podkeeper.cluster.children import PARENT_FD, READY_FD
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.foundation.backoff import BackOff

#: In the order in which they are told to stop.
COMPONENTS = ("node", "controllers", "apiserver")
STOP_SECONDS = 15.0
STABLE_SECONDS = 60.0
LOG_LIMIT = 16 * 1024 * 1024


@dataclass
class Child:
    """One component: its process while it runs, and when to start it again while it does not."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    ready_pipe: int = -1
    ready: bool = False
    started: float = 0.0
    restart_at: float = 0.0
    parent_pipe: int = field(default=-1, repr=False)


class SupervisorLock:
    """Held by the one supervisor of a data directory; the file holds its process id."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.run / "supervisor.pid"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises ClusterError when another supervisor holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = open(self._path, "a+")  # noqa: SIM115 - held until the process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise ClusterError(f"the cluster is already running (process {self.holder()})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def holder(self) -> int | None:
        """The process id of the running supervisor, None when there is none."""
        try:
            with open(self._path) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read().strip() or 0) or None
                return None
        except FileNotFoundError:
            return None


class Supervisor:
    """Runs until it is told to stop. ``report`` gets a line for each thing an operator wants to know."""

    def __init__(self, layout: Layout, report: Callable[[str], None]) -> None:
        self._layout, self._report = layout, report
        self._children = {name: Child(name) for name in COMPONENTS}
        self._selector = selectors.DefaultSelector()
        self._backoff = BackOff(0.2, 10.0)
        self._stopping = False

    def run(self) -> None:
        """Starts everything and returns when everything has ended."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: self._drain(wake_read))
        for name in reversed(COMPONENTS):
            self._start(self._children[name])
        while not self._stopping:
            self._step()
        self._stop_all()

    def _step(self) -> None:
        for key, _ in self._selector.select(self._next_timeout()):
            key.data()
        for child in self._children.values():
            if child.process is None and not self._stopping and time.monotonic() >= child.restart_at:
                self._start(child)

    def _next_timeout(self) -> float | None:
        due = [child.restart_at for child in self._children.values() if child.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start(self, child: Child) -> None:
        ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
        parent_read, child.parent_pipe = os.pipe2(os.O_CLOEXEC)
        environment = {**os.environ, READY_FD: str(ready_write), PARENT_FD: str(parent_read)}
        environment.setdefault("MALLOC_ARENA_MAX", "2")
        with open_log(self._layout, child.name) as log:
            child.process = subprocess.Popen(
                command(child.name, self._layout),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(ready_write, parent_read),
            )
        os.close(ready_write)
        os.close(parent_read)
        child.pidfd, child.ready_pipe = os.pidfd_open(child.process.pid), ready_read
        child.ready, child.started = False, time.monotonic()
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._ended(child))
        self._selector.register(child.ready_pipe, selectors.EVENT_READ, lambda: self._became_ready(child))

    def _became_ready(self, child: Child) -> None:
        if os.read(child.ready_pipe, 64):
            child.ready = True
            self._report(f"{child.name} ready")
        self._close_ready_pipe(child)

    def _close_ready_pipe(self, child: Child) -> None:
        if child.ready_pipe >= 0:
            self._selector.unregister(child.ready_pipe)
            os.close(child.ready_pipe)
            child.ready_pipe = -1

    def _ended(self, child: Child) -> None:
        if child.process is None:
            return
        code = child.process.wait()
        self._close_ready_pipe(child)
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        os.close(child.parent_pipe)
        child.process = None
        if self._stopping:
            return
        if time.monotonic() - child.started > STABLE_SECONDS:
            self._backoff.reset(child.name)
        delay = self._backoff.next_delay(child.name)
        child.restart_at = time.monotonic() + delay
        self._report(
            f"{child.name} ended with code {code}, starting again in {delay:.1f} s; see {self._layout.log(child.name)}"
        )

    def _stop_all(self) -> None:
        for name in COMPONENTS:
            child = self._children[name]
            if child.process is None:
                continue
            child.process.terminate()
            try:
                child.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._report(f"{name} did not stop within {STOP_SECONDS:.0f} s and is killed")
                child.process.kill()
            self._ended(child)

    def _request_stop(self, *_: object) -> None:
        self._stopping = True

    @staticmethod
    def _drain(descriptor: int) -> None:
        os.read(descriptor, 4096)


def command(component: str, layout: Layout) -> Sequence[str]:
    """The command line of a component, as ``ps`` shows it."""
    program = os.path.abspath(sys.argv[0])  # the supervisor's own working directory is the root
    return (sys.executable, program, component, "--data-dir", str(layout.root))


def open_log(layout: Layout, component: str) -> IO[bytes]:
    """The component's log, appended to; a log that has grown over its limit becomes ``.old`` first."""
    path = layout.log(component)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.old"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")
