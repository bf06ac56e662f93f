"""Where the engine keeps what: everything below one directory.

ROOT/engine.json             what a sweep must know when no engine runs: control group, hidden controllers
ROOT/lock                    held by the engine that is open
ROOT/pause/                  the infra containers' root file system
ROOT/oci/crun|runc/          the OCI runtimes' own state
ROOT/filters/                compiled seccomp profiles
ROOT/sandboxes/ID/           record.json, config.json (the OCI bundle), shm/ (tmpfs), resolv.conf, hostname
ROOT/containers/ID/          record.json, config.json, conmon's files, exits/ID, oom
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from msgspec import Struct

from podkeeper.foundation import mounts


class Directories(Struct, frozen=True):
    """Paths below the engine's ``root``."""

    root: Path

    @property
    def settings(self) -> Path:
        """What a sweep must know."""
        return self.root / "engine.json"

    @property
    def lock(self) -> Path:
        """One engine at a time."""
        return self.root / "lock"

    @property
    def pause(self) -> Path:
        """The infra containers' root file system."""
        return self.root / "pause"

    @property
    def sandboxes(self) -> Path:
        """One directory per sandbox."""
        return self.root / "sandboxes"

    @property
    def containers(self) -> Path:
        """One directory per container."""
        return self.root / "containers"

    @property
    def filters(self) -> Path:
        """Compiled seccomp profiles."""
        return self.root / "filters"

    def oci(self, handler: str) -> Path:
        """The state directory of an OCI runtime."""
        return self.root / "oci" / handler

    def sandbox(self, sandbox_id: str) -> Path:
        """The directory of one sandbox."""
        return self.sandboxes / sandbox_id

    def container(self, container_id: str) -> Path:
        """The directory of one container."""
        return self.containers / container_id

    def create(self) -> None:
        """Makes the top directories, for root alone: what is in them gives access to every container."""
        for directory in (self.root, self.sandboxes, self.containers, self.filters, self.root / "oci"):
            directory.mkdir(mode=0o711 if directory == self.root else 0o700, parents=True, exist_ok=True)


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces ``path``. Without fsync: what it tells about are processes, which do not outlive a power cut either."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
    temporary.replace(path)


def remove_directory(directory: Path) -> None:
    """Removes a directory in which nothing is mounted, with all that is in it; silent when it is not there."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)


def erase_directory(directory: Path) -> None:
    """Unmounts whatever is mounted there, then removes it; silent when it is not there."""
    mounts.remove_tree(directory)
