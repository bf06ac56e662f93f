"""Keeps container logs from growing without bound: ``N.log`` -> ``N.log.20260102-030405`` -> ``....gz`` -> gone.

As upstream's container log manager: 10 MiB each, five files, all but the newest rotated one compressed.
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
import time
from pathlib import Path

from podkeeper.runtime.cri import RuntimeService
from podkeeper.runtime.failures import NotFound


class LogRotator:
    """Rotates logs of running containers. ``max_files`` counts the current one too."""

    def __init__(self, runtime: RuntimeService, max_size: int, max_files: int) -> None:
        self._runtime, self._max_size, self._max_files = runtime, max_size, max_files

    def is_due(self, path: Path) -> bool:
        """Whether the log has grown too large; one look at its size."""
        try:
            return path.stat().st_size >= self._max_size
        except FileNotFoundError:
            return False

    async def rotate(self, container_id: str, path: Path, now: float) -> None:
        """Moves the log aside, has the runtime open a new one, and tidies the older ones. Raises OSError."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        await asyncio.to_thread(self._set_aside, path, path.with_name(f"{path.name}.{stamp}"))
        try:
            await self._runtime.reopen_log(container_id)
        except NotFound:
            return  # it ended meanwhile; its log is complete under the rotated name

    def _set_aside(self, path: Path, aside: Path) -> None:
        """Makes room for one more rotated file, compresses those that are there, and moves the log."""
        rotated = rotated_logs(path)
        for old in rotated[: max(0, len(rotated) - (self._max_files - 2))]:
            old.unlink()
        for plain in rotated_logs(path):
            if plain.suffix != ".gz":
                _compress(plain)
        path.rename(aside)


def rotated_logs(path: Path) -> list[Path]:
    """The rotated files of a log, oldest first."""
    return sorted(each for each in path.parent.glob(f"{path.name}.*") if not each.name.endswith(".tmp"))


def remove_log(path: Path) -> None:
    """Removes a log with its rotated files."""
    for each in (*rotated_logs(path), path):
        each.unlink(missing_ok=True)


def _compress(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with path.open("rb") as source, gzip.open(temporary, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target)
    temporary.rename(path.with_name(f"{path.name}.gz"))
    path.unlink()
