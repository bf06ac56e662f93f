"""Version 2: one hierarchy, whose controllers a group hands down to its children by cgroup.subtree_control."""

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

_WANTED = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


class CgroupsV2:
    """Groups of version 2; see the Protocol."""

    def __init__(self, layout: Layout) -> None:
        if layout.unified is None:
            raise CgroupError("no cgroup2 file system is mounted")
        self.layout, self._root = layout, layout.unified

    def __repr__(self) -> str:
        return f"CgroupsV2({self._root}: {read(self._root / 'cgroup.controllers')})"

    def _directory(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def exists(self, path: str) -> bool:
        """See the Protocol."""
        return self._directory(path).is_dir()

    def create(self, path: str, limits: Limits = NO_LIMITS) -> None:
        """See the Protocol."""
        directory = self._root
        for part in Path(path.lstrip("/")).parts:
            self._delegate(directory)
            directory = directory / part
            try:
                directory.mkdir(exist_ok=True)
            except OSError as error:
                raise CgroupError(f"cannot make the cgroup {path}: {error}") from error
        self.apply(path, limits)

    def _delegate(self, directory: Path) -> None:
        """Hands every wanted controller down; a group with processes may not (save the real root): they move aside."""
        available = read(directory / "cgroup.controllers").split()
        present = read(directory / "cgroup.subtree_control").split()
        for controller in _WANTED:
            if controller not in available or controller in present:
                continue
            try:
                write(directory / "cgroup.subtree_control", f"+{controller}")
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise CgroupError(f"cannot hand {controller} down from {directory}: {error.strerror}") from error
                self._evacuate(directory)
                write(directory / "cgroup.subtree_control", f"+{controller}")

    def _evacuate(self, directory: Path) -> None:
        """Inside a container the root has processes of its own; they move to a leaf called init, as usual there."""
        if directory != self._root:
            raise CgroupError(f"cannot hand controllers down from {directory}: processes run right in it")
        leaf = directory / "init"
        leaf.mkdir(exist_ok=True)
        for pid in read(directory / "cgroup.procs").split():
            with contextlib.suppress(ProcessLookupError):
                write(leaf / "cgroup.procs", pid)

    def apply(self, path: str, limits: Limits) -> None:
        """See the Protocol."""
        directory = self._directory(path)
        for setting in settings.version_2(limits):
            if directory.is_dir() and not (directory / setting.file).exists():
                continue
            try:
                write(directory / setting.file, setting.value)
            except OSError as error:
                text = f"cannot set {setting.file}={setting.value} on the cgroup {path}: {error.strerror}"
                raise CgroupError(text) from error

    def usage(self, path: str) -> CgroupUsage:
        """See the Protocol."""
        directory = self._directory(path)
        used, table = read_number(directory / "memory.current"), read_table(directory / "memory.stat")
        return CgroupUsage(
            cpu_ns=read_table(directory / "cpu.stat").get("usage_usec", 0) * 1000,
            memory_usage=used,
            memory_working_set=max(used - table.get("inactive_file", 0), 0),
            memory_rss=table.get("anon", 0),
            pids=read_number(directory / "pids.current"),
        )

    def children(self, path: str) -> Sequence[str]:
        """See the Protocol."""
        try:
            entries = os.scandir(self._directory(path))
        except FileNotFoundError:
            return []
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def processes(self, path: str) -> Sequence[int]:
        """See the Protocol."""
        return sorted(process_ids(self._directory(path)))

    def attach(self, path: str, pid: int) -> None:
        """See the Protocol."""
        with contextlib.suppress(ProcessLookupError):
            write(self._directory(path) / "cgroup.procs", str(pid))

    def memory_events(self, path: str) -> int:
        """See the Protocol."""
        return read_table(self._directory(path) / "memory.events").get("oom_kill", 0)

    def signal(self, path: str, number: int) -> None:
        """See the Protocol."""
        directory = self._directory(path)
        if number == signal.SIGKILL and (directory / "cgroup.kill").exists():
            with contextlib.suppress(FileNotFoundError):  # it went away just now
                write(directory / "cgroup.kill", "1")
            return
        with contextlib.suppress(FileNotFoundError):
            write(directory / "cgroup.freeze", "1")
        try:
            send(self.processes(path), number)
        finally:
            with contextlib.suppress(FileNotFoundError):
                write(directory / "cgroup.freeze", "0")

    async def kill(self, path: str) -> None:
        """See the Protocol."""
        await kill_until_empty(lambda: self.processes(path), lambda: self.signal(path, signal.SIGKILL))

    async def remove(self, path: str) -> None:
        """See the Protocol."""
        await self.kill(path)
        await remove_tree(self._directory(path))
