"""The supervisor: starts the cluster's processes, starts again whatever ends, and stops them in order.

    starting --ready pipe--> ready --exit--> waiting (back-off) --deadline--> starting
       \\-- not ready for long: said once, and left to go on
    any --SIGTERM or SIGINT--> stopping: node, controllers, API server, each given time to end well

Neither asyncio nor a library is imported here: this process lives as long as the cluster and costs an interpreter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.launch import Running, last_words
from podkeeper.cluster.launch import launch as launch_process
from podkeeper.cluster.layout import Layout
from podkeeper.foundation.backoff import BackOff

#: In the order in which they are told to stop.
COMPONENTS = ("node", "controllers", "apiserver")
STOP_SECONDS = 15.0
STABLE_SECONDS = 60.0
READY_SECONDS = 20.0


@dataclass
class Child:
    """One component: its process while it runs, and when to start it again while it does not.

    ``due`` is that time, or while it gets ready the time at which it takes too long; None when nothing is due.
    """

    name: str
    running: Running | None = None
    ready: bool = False
    started: float = 0.0
    due: float | None = None


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

    def __init__(
        self,
        layout: Layout,
        report: Callable[[str], None],
        *,
        launch: Callable[[Layout, str], Running] = launch_process,
        clock: Callable[[], float] = time.monotonic,
        selector: selectors.BaseSelector | None = None,
    ) -> None:
        self._layout, self._report, self._launch, self._clock = layout, report, launch, clock
        self._children = {name: Child(name) for name in COMPONENTS}
        self._selector = selector or selectors.DefaultSelector()
        self._backoff = BackOff(0.2, 10.0)
        self._stopping = False

    def run(self) -> None:
        """Starts everything and returns when everything has ended."""
        with self._signals():
            for name in reversed(COMPONENTS):
                self._start(self._children[name])
            while not self._stopping:
                self._step()
            self._stop_all()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT wake the selector and request the stop; what they did before comes back at the end."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = signal.set_wakeup_fd(wake_write)
        handlers = {each: signal.signal(each, self._request_stop) for each in (signal.SIGTERM, signal.SIGINT)}
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: os.read(wake_read, 4096))
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            self._selector.close()
            os.close(wake_read)
            os.close(wake_write)

    def _request_stop(self, *_: object) -> None:
        self._stopping = True

    def _step(self) -> None:
        for key, _ in self._selector.select(self._next_timeout()):
            key.data()
        for child in self._children.values():
            if not self._stopping and child.due is not None and self._clock() >= child.due:
                self._act_on_deadline(child)

    def _next_timeout(self) -> float | None:
        due = [child.due for child in self._children.values() if child.due is not None]
        return max(0.0, min(due) - self._clock()) if due else None

    def _act_on_deadline(self, child: Child) -> None:
        if child.running is None:
            self._start(child)
        else:
            child.due = None
            self._report(f"{child.name} is not ready after {READY_SECONDS:.0f} s, {self._see_log(child)}")

    def _start(self, child: Child) -> None:
        running = child.running = self._launch(self._layout, child.name)
        child.ready, child.started = False, self._clock()
        child.due = child.started + READY_SECONDS
        self._selector.register(running.ended, selectors.EVENT_READ, lambda: self._ended(child))
        self._selector.register(running.ready, selectors.EVENT_READ, lambda: self._became_ready(child))

    def _became_ready(self, child: Child) -> None:
        if child.running is None:
            return  # its end was in the same batch of events
        child.ready = bool(os.read(child.running.ready, 64))
        self._selector.unregister(child.running.ready)
        if child.ready:
            child.due = None
            self._report(f"{child.name} ready")

    def _ended(self, child: Child) -> None:
        if child.running is None:
            return
        code = child.running.wait()
        self._release(child)
        if self._stopping:
            return
        if self._clock() - child.started > STABLE_SECONDS:
            self._backoff.reset(child.name)
        delay = self._backoff.next_delay(child.name)
        child.due = self._clock() + delay
        words = last_words(self._layout, child.name)
        why = f" ({words})" if words and code else ""
        self._report(
            f"{child.name} ended with code {code}{why}, starting again in {delay:.1f} s, {self._see_log(child)}"
        )

    def _release(self, child: Child) -> None:
        if child.running is not None:
            for descriptor in (child.running.ended, child.running.ready):
                with contextlib.suppress(KeyError):  # it has said already that it is ready
                    self._selector.unregister(descriptor)
            child.running.close()
            child.running = None

    def _stop_all(self) -> None:
        for name in COMPONENTS:
            child = self._children[name]
            if child.running is None:
                continue
            child.running.terminate()
            if child.running.wait(STOP_SECONDS) is None:
                self._report(f"{name} did not stop within {STOP_SECONDS:.0f} s and is killed")
                child.running.kill()
                child.running.wait()
            self._release(child)

    def _see_log(self, child: Child) -> str:
        return f"see {self._layout.log(child.name)}"
