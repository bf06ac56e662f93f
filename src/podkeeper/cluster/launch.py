"""Starting a component as a process of its own, with the two pipes of podkeeper.cluster.pipes and a log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from podkeeper.cluster.layout import Layout
from podkeeper.cluster.pipes import PARENT_FD, READY_FD

LOG_LIMIT = 16 * 1024 * 1024
LAST_BYTES = 4096


class Running(Protocol):
    """A component that was started. Both descriptors are for a selector; ``ready`` has a line once it does its work."""

    @property
    def ended(self) -> int:
        """A descriptor that is readable once the process has ended."""
        ...

    @property
    def ready(self) -> int:
        """The reading end of the ready pipe."""
        ...

    def terminate(self) -> None:
        """Asks it to end."""
        ...

    def kill(self) -> None:
        """Ends it."""
        ...

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, negative for a signal; None when it has not ended within ``seconds``."""
        ...

    def close(self) -> None:
        """Closes the descriptors."""
        ...


@dataclass(frozen=True, slots=True)
class ComponentProcess:
    """A Running as a real process. Closing ``parent`` tells it that the supervisor is gone."""

    process: subprocess.Popen[bytes]
    ended: int
    ready: int
    parent: int

    def terminate(self) -> None:
        """See Running."""
        self.process.terminate()

    def kill(self) -> None:
        """See Running."""
        self.process.kill()

    def wait(self, seconds: float | None = None) -> int | None:
        """See Running."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """See Running."""
        for descriptor in (self.ended, self.ready, self.parent):
            os.close(descriptor)


def launch(layout: Layout, component: str) -> Running:
    """Starts a component of the cluster."""
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    parent_read, parent_write = os.pipe2(os.O_CLOEXEC)
    environment = {**os.environ, READY_FD: str(ready_write), PARENT_FD: str(parent_read)}
    environment.setdefault("MALLOC_ARENA_MAX", "2")
    with open_log(layout, component) as log:
        process = subprocess.Popen(
            command(component, layout),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=(ready_write, parent_read),
            process_group=0,  # a terminal's Ctrl-C is for the supervisor, which stops the others in order
        )
    os.close(ready_write)
    os.close(parent_read)
    return ComponentProcess(process, os.pidfd_open(process.pid), ready_read, parent_write)


def command(component: str, layout: Layout) -> Sequence[str]:
    """The command line of a component, as ``ps`` shows it."""
    program = os.path.abspath(sys.argv[0])  # the supervisor's own working directory is the root
    return (sys.executable, program, component, "--data-dir", str(layout.root))


def last_words(layout: Layout, component: str) -> str:
    """What a component that ended with an error said last: the ``error:`` line at its log's end, "" without one."""
    path = layout.log(component)
    if not path.exists():
        return ""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - LAST_BYTES))
        lines = file.read().decode(errors="replace").splitlines()[-2:]
    return next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")


def open_log(layout: Layout, component: str) -> IO[bytes]:
    """The component's log, appended to; a log that has grown over its limit becomes ``.old`` first."""
    path = layout.log(component)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.old"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")
