"""Version 1, alone or with a version 2 that has no controllers beside it (hybrid): one directory per hierarchy."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from podkeeper.foundation.cgroups import settings
from podkeeper.foundation.cgroups.files import process_ids, read, read_number, read_table, write
from podkeeper.foundation.cgroups.killing import kill_until_empty, send
from podkeeper.foundation.cgroups.layout import Layout
from podkeeper.foundation.cgroups.removal import remove_tree
from podkeeper.foundation.cgroups.tree import NO_LIMITS, CgroupError, CgroupUsage, Limits

_LIMITING = ("cpu", "cpuacct", "memory", "pids", "cpuset", "freezer")


class CgroupsV1:
    """Groups of version 1; see the Protocol."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def __repr__(self) -> str:
        return f"CgroupsV1({self.layout.mode.value}: {', '.join(self.layout.controllers)})"

    def _directory(self, controller: str, path: str) -> Path | None:
        mount = self.layout.controllers.get(controller)
        return mount / path.lstrip("/") if mount else None

    def _directories(self, path: str) -> list[Path]:
        return [mount / path.lstrip("/") for mount in self.layout.hierarchies]

    def exists(self, path: str) -> bool:
        """See the Protocol."""
        return any(directory.is_dir() for directory in self._directories(path))

    def create(self, path: str, limits: Limits = NO_LIMITS) -> None:
        """See the Protocol."""
        made = {self._directory(controller, path) for controller in _LIMITING} - {None}
        try:
            for directory in made:
                assert directory is not None
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CgroupError(f"cannot make the cgroup {path}: {error}") from error
        self._inherit_cpuset(path)
        self.apply(path, limits)

    def _inherit_cpuset(self, path: str) -> None:
        """A new cpuset group is empty and takes no process before it has CPUs and memory nodes."""
        mount = self.layout.controllers.get("cpuset")
        if mount is None:
            return
        directory = mount
        for part in Path(path.lstrip("/")).parts:
            parent, directory = directory, directory / part
            for file in ("cpuset.cpus", "cpuset.mems"):
                if not read(directory / file):
                    with contextlib.suppress(FileNotFoundError):
                        write(directory / file, read(parent / file))

    def apply(self, path: str, limits: Limits) -> None:
        """See the Protocol."""
        pending = list(settings.version_1(limits))
        # Two related values (quota and period, memory and memory+swap) can be valid only in one order, which depends on
        # what is there: a refused one is tried once more after the others.
        refused = [setting for setting in pending if not self._write(path, setting, last=False)]
        for setting in refused:
            self._write(path, setting, last=True)

    def _write(self, path: str, setting: settings.Setting, *, last: bool) -> bool:
        directory = self._directory(setting.controller, path)
        if directory is None or (directory.is_dir() and not (directory / setting.file).exists()):
            return True
        try:
            write(directory / setting.file, setting.value)
        except OSError as error:
            if not last and error.errno in (errno.EINVAL, errno.EBUSY):
                return False
            raise CgroupError(
                f"cannot set {setting.file}={setting.value} on the cgroup {path}: {error.strerror}"
            ) from error
        return True

    def usage(self, path: str) -> CgroupUsage:
        """See the Protocol."""
        memory, cpu = self._directory("memory", path), self._directory("cpuacct", path)
        pids = self._directory("pids", path)
        used = read_number(memory / "memory.usage_in_bytes") if memory else 0
        table = read_table(memory / "memory.stat") if memory else {}
        return CgroupUsage(
            cpu_ns=read_number(cpu / "cpuacct.usage") if cpu else 0,
            memory_usage=used,
            memory_working_set=max(used - table.get("total_inactive_file", 0), 0),
            memory_rss=table.get("total_rss", 0),
            pids=read_number(pids / "pids.current") if pids else 0,
        )

    def children(self, path: str) -> Sequence[str]:
        """See the Protocol."""
        found: set[str] = set()
        for directory in self._directories(path):
            with contextlib.suppress(FileNotFoundError):
                found.update(entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))
        return sorted(found)

    def processes(self, path: str) -> Sequence[int]:
        """See the Protocol."""
        return sorted(set().union(*(process_ids(directory) for directory in self._directories(path))))

    def attach(self, path: str, pid: int) -> None:
        """See the Protocol."""
        for directory in self._directories(path):
            if directory.is_dir():
                with contextlib.suppress(ProcessLookupError):
                    write(directory / "cgroup.procs", str(pid))

    def memory_events(self, path: str) -> int:
        """See the Protocol."""
        directory = self._directory("memory", path)
        return read_table(directory / "memory.oom_control").get("oom_kill", 0) if directory else 0

    def signal(self, path: str, number: int) -> None:
        """See the Protocol: the group stands still while its processes are counted."""
        freezer = self._directory("freezer", path)
        frozen = freezer is not None and self._freeze(freezer, "FROZEN")
        try:
            send(self.processes(path), number)
        finally:
            if frozen and freezer is not None:
                self._freeze(freezer, "THAWED")

    def _freeze(self, directory: Path, state: str) -> bool:
        try:
            write(directory / "freezer.state", state)
        except OSError:
            return False
        return True

    async def kill(self, path: str) -> None:
        """See the Protocol."""
        await kill_until_empty(lambda: self.processes(path), lambda: self.signal(path, signal.SIGKILL))

    async def remove(self, path: str) -> None:
        """See the Protocol."""
        await self.kill(path)
        for directory in self._directories(path):
            await remove_tree(directory)
