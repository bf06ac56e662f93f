"""What is known about a sandbox or container, kept as one small JSON file each and written whole."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from podkeeper.runtime.cri import ContainerConfig, SandboxConfig
from podkeeper.runtime.engine.directories import write_atomically
from podkeeper.runtime.engine.processes import ProcessIdentity

RECORD = "record.json"


class SandboxRecord(Struct, frozen=True):
    """A sandbox. ``infra`` is None before its start; ``stopped`` when its network was freed already."""

    id: str
    config: SandboxConfig
    created_at: int
    handler: str
    cgroup: str
    infra: ProcessIdentity | None = None
    ips: tuple[str, ...] = ()
    stopped: bool = False


class Exit(Struct, frozen=True):
    """How a container ended. Times are nanoseconds since the epoch."""

    code: int
    reason: str
    finished_at: int
    message: str = ""


class ContainerRecord(Struct, frozen=True):
    """A container. ``monitor`` and ``process`` are None before its start, ``exit`` before its end.

    ``command`` is what runs (entrypoint and arguments together), ``user`` uid, gid and supplemental groups.
    """

    id: str
    sandbox_id: str
    config: ContainerConfig
    created_at: int
    handler: str
    cgroup: str
    log_path: str
    user: tuple[int, int, tuple[int, ...]]
    stop_signal: str
    image_id: str
    image_ref: str
    command: tuple[str, ...]
    started_at: int = 0
    monitor: ProcessIdentity | None = None
    process: ProcessIdentity | None = None
    exit: Exit | None = None


Record = TypeVar("Record", SandboxRecord, ContainerRecord)


def new_id() -> str:
    """A fresh identifier: 64 hexadecimal digits, as other runtimes have."""
    return secrets.token_hex(32)


def save(directory: Path, record: SandboxRecord | ContainerRecord) -> None:
    """Writes the record into its directory."""
    write_atomically(directory / RECORD, msgspec.json.encode(record))


def load_all(parent: Path, kind: type[Record]) -> Iterator[tuple[Path, Record | None]]:
    """Each directory below ``parent`` with its record, None where there is none that can be read."""
    for directory in sorted(parent.iterdir()) if parent.is_dir() else ():
        record: Record | None = None
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            record = msgspec.json.decode((directory / RECORD).read_bytes(), type=kind)
        yield directory, record
