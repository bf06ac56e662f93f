"""The log file: one JSON object per line, rotated by size, old files dropped by number and age.

Names of rotated files are upstream's: ``audit-2026-01-31T08-15-00.000.log`` beside ``audit.log``.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from podkeeper.apiserver.audit.options import LogOptions

log = logging.getLogger(__name__)

_DAY = 86400.0


class LogFile:
    """Appends lines. One that cannot be written is lost, and said so: a full disk does not stop the server."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._limit = options.max_size * 1024 * 1024
        self._descriptor = -1
        self._size = 0
        self._failed = False
        self._open()

    def write(self, line: bytes) -> bool:
        """Appends one line, or several, each with its line end; whether that was possible."""
        try:
            if self._limit and self._size and self._size + len(line) > self._limit and self._options.path != "-":
                self._rotate()
            self._size += os.write(self._descriptor, line)
        except OSError as error:
            if not self._failed:
                log.error("the audit log %s cannot be written: %s", self._options.path, error)
            self._failed = True
            return False
        self._failed = False
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._options.path != "-" and self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> None:
        if self._options.path == "-":
            self._descriptor = sys.stdout.fileno()
            return
        path = Path(self._options.path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        path, now = Path(self._options.path), time.time()
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}"
        self.close()
        path.replace(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        self._open()
        for old in outdated(rotated(path), now, self._options):
            old.unlink(missing_ok=True)


def rotated(path: Path) -> Sequence[Path]:
    """The rotated files of a log, newest first."""
    return sorted(path.parent.glob(f"{path.stem}-????-??-??T??-??-??.???{path.suffix}"), reverse=True)


def outdated(files: Sequence[Path], now: float, options: LogOptions) -> Sequence[Path]:
    """Those of ``files`` (newest first) that are too many or too old."""
    kept = options.max_backups or len(files)
    too_old = now - options.max_age * _DAY if options.max_age else 0.0
    return [file for place, file in enumerate(files) if place >= kept or file.stat().st_mtime < too_old]
