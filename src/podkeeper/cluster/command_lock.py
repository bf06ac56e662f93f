"""One command at a time changes a cluster: up, down and reset wait for each other instead of meeting half-way."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from podkeeper.cluster import process_table
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

PATIENCE_SECONDS = 60.0


@contextlib.contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Holds the cluster's command lock. The end of another holder is waited for; ClusterError when that takes long.

    Where there is no cluster there is nothing to hold.
    """
    descriptor = _acquire(layout.run / "command.lock")
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _acquire(path: Path) -> int:
    while path.parent.exists():
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BlockingIOError:
            _wait_for_holder(os.pread(descriptor, 32, 0).decode(errors="replace"))
        os.close(descriptor)  # it was removed by a reset, or its holder has ended: look again
    return -1


def _wait_for_holder(pid: str) -> None:
    holder = process_table.look_at(int(pid)) if pid.isdigit() else None
    if holder is not None and process_table.wait([holder], PATIENCE_SECONDS):
        raise ClusterError(f"another command is at work on this cluster: {holder}", "wait for it, or end it")
