"""Writes a set of files so that readers see all old or all new ones.

    VOLUME/..2026_11_21_03_44_10.123456/a/b    the files
    VOLUME/..data -> ..2026_11_21_...          swapped by one rename
    VOLUME/a      -> ..data/a                  what users open

The layout is upstream's (volume/util/atomic_writer.go): programs watch ``..data`` for reloads.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from podkeeper.kubelet.volumes.ownership import give_to_group

DATA, DATA_NEW = "..data", "..data_tmp"


class FileContent(Struct, frozen=True):
    """One file: its bytes, its mode, and its owner if not root."""

    data: bytes
    mode: int
    owner: int | None = None


Payload = Mapping[str, FileContent]


def write_payload(volume: Path, payload: Payload, stamp: str, group: int | None = None) -> bool:
    """Makes ``volume`` show exactly ``payload`` (relative path -> file); False when it did already.

    ``stamp`` must differ from earlier ones; ``group`` is the fsGroup that new files belong to.
    """
    current = _current(volume)
    if current is not None and _shows(current, payload):
        return False
    fresh = volume / f"..{stamp}"
    _write_files(fresh, payload)
    if group is not None:
        give_to_group(fresh, group, readonly=True)
    temporary = volume / DATA_NEW
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(fresh.name)
    temporary.rename(volume / DATA)
    _link_top_names(volume, {path.split("/", 1)[0] for path in payload})
    if current is not None:
        shutil.rmtree(current)
    return True


def _current(volume: Path) -> Path | None:
    link = volume / DATA
    if not link.is_symlink():
        return None
    target = volume / os.readlink(link)
    return target if target.is_dir() else None


def _shows(current: Path, payload: Payload) -> bool:
    present = {
        str(Path(directory, name).relative_to(current)) for directory, _, files in os.walk(current) for name in files
    }
    if present != set(payload):
        return False
    return all((current / path).read_bytes() == content.data for path, content in payload.items())


def _write_files(fresh: Path, payload: Payload) -> None:
    fresh.mkdir(mode=0o755)
    fresh.chmod(0o755)
    for path, content in payload.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.data)
        target.chmod(content.mode)
        if content.owner is not None:
            os.chown(target, content.owner, -1)


def _link_top_names(volume: Path, names: set[str]) -> None:
    for entry in volume.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = volume / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
