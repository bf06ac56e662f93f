"""Is the write-ahead log whole? SQLite ends its recovery at the first frame that does not fit and says nothing.

A crash leaves at most one commit behind that point: the one that was being written. More than one means that commits
which were acknowledged are there and cannot be reached, so somebody must decide, not we.
Formats: https://sqlite.org/fileformat2.html#the_write_ahead_log and https://sqlite.org/walformat.html
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from podkeeper.storage.store import StoreError

_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)


class StoreDamaged(StoreError):
    """The files of the store are damaged, and what was acknowledged would be lost by going on."""


def refuse_emptied(path: Path) -> None:
    """Raises StoreDamaged for a database without a byte beside a log with some: SQLite would throw the log away."""
    if path.exists() and path.stat().st_size == 0 and _size(_log(path)):
        raise StoreDamaged(f"{path} is empty, but {_log(path).name} is not: restore both from a backup")


def refuse_unreachable(path: Path) -> None:
    """Raises StoreDamaged when commits follow the place where recovery ends. Call it before anything else opens it."""
    if _size(_log(path)) <= _HEADER + _FRAME:
        return
    with _log(path).open("rb") as log:
        magic, _, page = struct.unpack(">III", log.read(12))
        if magic not in _MAGIC:
            raise StoreDamaged(f"{_log(path)} has no valid header: restore it and {path.name} from a backup")
        recovered = _recover(path)
        commits = sum(_commits(log.fileno(), recovered, _FRAME + page))
    if commits > 1:
        raise StoreDamaged(
            f"{_log(path)} is damaged at frame {recovered + 1}, and {commits} commits after it cannot be read: restore"
            f" it and {path.name} from a backup, or remove it to go on with what {path.name} alone holds"
        )


def _recover(path: Path) -> int:
    """How many frames SQLite finds good. A connection that may not write leaves the log as it is when it is closed."""
    uri = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.execute("PRAGMA schema_version").fetchall()
        with path.with_name(f"{path.name}-shm").open("rb") as index:
            index.seek(16)
            (frames,) = struct.unpack("=I", index.read(4))
    return int(frames)


def _commits(log: int, start: int, frame: int) -> Iterator[bool]:
    """For each frame of the log's present generation from ``start`` on, whether it ends a commit."""
    salts = os.pread(log, 8, 16)
    offset = _HEADER + start * frame
    while len(header := os.pread(log, _FRAME, offset)) == _FRAME:
        _, pages_after_commit = struct.unpack_from(">II", header)
        yield header[8:16] == salts and pages_after_commit > 0
        offset += frame


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
