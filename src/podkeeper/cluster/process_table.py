"""Processes of this machine, found by their command lines, and waiting for their ends: a pidfd each, nothing polled."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A process at the moment it was looked at."""

    pid: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"process {self.pid} ({' '.join(self.words[:5])})"


def look_at(pid: int) -> Listed | None:
    """One process; None when it has ended."""
    words = _command_line(pid)
    return Listed(pid, words) if words else None


def find(matches: Callable[[Sequence[str]], bool]) -> list[Listed]:
    """Every process but this one whose command line ``matches``. One that has ended shows no command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            process = Listed(int(name), _command_line(int(name)))
            if process.words and matches(process.words):
                found.append(process)
    return found


def end(processes: Sequence[Listed], seconds: float) -> list[Listed]:
    """SIGTERM, after ``seconds`` SIGKILL; returns those that are there even then."""
    left = _signal_and_wait(processes, signal.SIGTERM, seconds)
    return _signal_and_wait(left, signal.SIGKILL, KILL_SECONDS)


def wait(processes: Sequence[Listed], seconds: float) -> list[Listed]:
    """Waits until they have ended, at most ``seconds``; returns those that have not."""
    return _signal_and_wait(processes, 0, seconds)


def _signal_and_wait(processes: Sequence[Listed], number: int, seconds: float) -> list[Listed]:
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for process in processes:
            descriptor = _open(process)
            if descriptor >= 0:
                stack.callback(os.close, descriptor)
                selector.register(descriptor, selectors.EVENT_READ, process)
                if number:
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, number)
        deadline = time.monotonic() + seconds
        while selector.get_map() and (ended := selector.select(max(0.0, deadline - time.monotonic()))):
            for key, _ in ended:
                selector.unregister(key.fileobj)
        return [key.data for key in selector.get_map().values()]


def _open(process: Listed) -> int:
    """A pidfd of the process, -1 when it has ended, also when another one has its number by now."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return -1
    if _command_line(process.pid) == process.words:
        return descriptor
    os.close(descriptor)
    return -1


def _command_line(pid: int) -> tuple[str, ...]:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(os.fsdecode(word) for word in data.removesuffix(b"\0").split(b"\0")) if data else ()
