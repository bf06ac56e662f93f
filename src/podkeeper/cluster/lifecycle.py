"""``up`` and ``down``: starting the supervisor in the background or becoming it, and stopping everything again."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from podkeeper.cluster import settings
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.launch import command, open_log
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.pipes import REPORT_FD
from podkeeper.cluster.pki import make_credentials
from podkeeper.cluster.requirements import check_addresses, check_file_system, check_machine
from podkeeper.cluster.supervisor import COMPONENTS, SupervisorLock

START_SECONDS = 120.0
ORPHAN_SECONDS = 15.0


def prepare(layout: Layout, wishes: settings.Wishes) -> settings.Settings:
    """Settles the settings and makes the credentials; nothing is started."""
    check_machine()
    chosen = settings.decide(settings.load(layout.settings), wishes)
    check_addresses(chosen)
    layout.create()
    check_file_system(layout.node)
    settings.save(layout.settings, chosen)
    make_credentials(layout, chosen)
    return chosen


def is_running(layout: Layout) -> bool:
    """Whether a supervisor holds this data directory."""
    return SupervisorLock(layout).holder() is not None


def start_in_background(layout: Layout, progress: Callable[[str], None]) -> None:
    """Starts the supervisor detached and returns when every component is ready; what it reports goes to ``progress``.

    Raises ClusterError when that has not happened within two minutes; what was started goes on trying.
    """
    if is_running(layout):
        return
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    with open_log(layout, "supervisor") as log:
        process = subprocess.Popen(
            command("supervisor", layout),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, REPORT_FD: str(report_write)},
            pass_fds=(report_write,),
            start_new_session=True,
            cwd="/",
        )
    os.close(report_write)
    waiting = set(COMPONENTS)
    for line in _lines(report_read, START_SECONDS):
        progress(line)
        waiting.discard(line.removesuffix(" ready"))
        if not waiting:
            return
    code = process.poll()
    what = (
        f"the supervisor ended with code {code}" if code is not None else f"not ready yet: {', '.join(sorted(waiting))}"
    )
    raise ClusterError(f"the cluster did not start: {what}", f"look into the logs in {layout.logs}")


def become_supervisor(layout: Layout) -> None:
    """Replaces this process by the supervisor, in the foreground."""
    os.execv(sys.executable, list(command("supervisor", layout)))  # noqa: S606 - our own interpreter and program


def stop(layout: Layout) -> bool:
    """Ends the supervisor and with it every component; containers keep running. False when nothing ran.

    ClusterError in another network namespace than the cluster's: whoever stops it goes on to remove its network.
    Components whose supervisor was killed are on their way to end; so is a supervisor that has only just begun.
    """
    from podkeeper.cluster import network_namespace, process_table, remains

    network_namespace.check(layout)
    stopped = _stop_supervisor(layout)
    orphans = remains.components(layout)
    left = process_table.end(orphans, ORPHAN_SECONDS)
    if left:
        raise ClusterError(f"cannot end {', '.join(map(str, left))}", "the kernel holds it: see /proc/PID/stack")
    return stopped or bool(orphans)


def _stop_supervisor(layout: Layout) -> bool:
    holder = SupervisorLock(layout).holder()
    if holder is None:
        return False
    descriptor = os.pidfd_open(holder)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            if not selector.select(60):
                raise ClusterError(f"the supervisor (process {holder}) did not end within 60 s", f"see {layout.logs}")
    finally:
        os.close(descriptor)
    return True


def _lines(descriptor: int, seconds: float) -> Iterator[str]:
    """Lines of a pipe until its end or the deadline."""
    deadline, rest = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector, os.fdopen(descriptor, "rb", buffering=0) as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            data = pipe.read(4096)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
