"""Removing everything of an engine's directory, whether or not an engine ever runs there again.

What to look for is in engine.json (control group, hidden controllers) and in the pid files of the monitors; whatever
else runs is in the engine's control group.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from podkeeper.foundation.cgroups import CgroupError, detect, open_cgroups
from podkeeper.foundation.cgroups.killing import wait_readable
from podkeeper.runtime.engine import hidden_hierarchies
from podkeeper.runtime.engine.directories import Directories, erase_directory
from podkeeper.runtime.engine.monitor import MONITOR_PID_FILE
from podkeeper.runtime.engine.processes import ProcessIdentity
from podkeeper.runtime.engine.records import ContainerRecord, SandboxRecord, load_all
from podkeeper.runtime.engine.settings import EngineSettings
from podkeeper.runtime.failures import RuntimeFailure


class DirectoryInUse(RuntimeFailure):
    """An engine or a build has the directory open."""


def lock(directories: Directories) -> int:
    """Takes the directory for one engine (or sweep) alone; closing the descriptor frees it. DirectoryInUse."""
    descriptor = os.open(directories.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DirectoryInUse(f"another engine is open on {directories.root}: stop that one first") from None
    return descriptor


async def sweep(root: Path, groups: Sequence[str] = ()) -> None:
    """Removes processes, mounts, control groups and files of the engine in ``root``; returns when they are gone.

    ``groups`` are control groups that are known to be its too, in case that its own files are damaged.
    RuntimeFailure when an engine is open there or when something cannot be removed. Silent when nothing is there.
    """
    directories = Directories(root)
    try:
        held = lock(directories)
    except FileNotFoundError:
        return
    try:
        await _sweep(directories, groups)
    except (CgroupError, OSError) as error:
        raise RuntimeFailure(f"cannot remove everything of the engine in {root}: {error}") from error
    finally:
        os.close(held)
    erase_directory(root)


async def _sweep(directories: Directories, known: Sequence[str]) -> None:
    layout, settings = detect(), EngineSettings.load(directories)
    hidden = settings.hidden if settings else hidden_hierarchies.stray_controllers(layout)
    groups = {*known, *(settings.groups if settings else ())}
    monitors = list(_monitors(directories))
    for group in (*groups, *_recorded_groups(directories)):
        await open_cgroups(layout).remove(group)
    for monitor in monitors:
        await _end(monitor)
    for controller in hidden:
        for group in groups:
            await hidden_hierarchies.release(controller, group, directories.root / "hierarchy")


def _recorded_groups(directories: Directories) -> list[str]:
    sandboxes = [record for _, record in load_all(directories.sandboxes, SandboxRecord)]
    containers = [record for _, record in load_all(directories.containers, ContainerRecord)]
    return [record.cgroup for record in (*sandboxes, *containers) if record is not None]


def _monitors(directories: Directories) -> Iterator[ProcessIdentity]:
    for directory in directories.containers.iterdir() if directories.containers.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            identity = ProcessIdentity.of(int((directory / MONITOR_PID_FILE).read_text()))
            command = Path(f"/proc/{identity.pid}/cmdline").read_bytes().split(b"\0")
            if directory.name.encode() in command:
                yield identity


async def _end(monitor: ProcessIdentity) -> None:
    descriptor = monitor.open()
    if descriptor is None:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        await wait_readable(descriptor)
    finally:
        os.close(descriptor)
