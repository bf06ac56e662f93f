"""Reads container logs the way ``kubectl logs`` wants them: from the end, since a time, cut, stamped, followed.

Pure parts (``LogFilter``, ``tail_offset``) and one reader that ties them to a file that grows and is rotated.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

from msgspec import Struct

from podkeeper.api import timestamps
from podkeeper.kubelet.inotify import CREATE, MODIFY, MOVED_TO, Inotify
from podkeeper.kubelet.log_format import parse_line
from podkeeper.kubelet.waiting import first_of

BLOCK = 1 << 16


class LogOptions(Struct, frozen=True):
    """What to show; the names are PodLogOptions'. ``since`` is seconds since the epoch."""

    follow: bool = False
    tail_lines: int | None = None
    since: float | None = None
    timestamps: bool = False
    limit_bytes: int | None = None


class LogFilter:
    """Turns raw bytes of a log file, however cut, into what is shown. Pure; ``done`` when the limit is reached."""

    def __init__(self, options: LogOptions) -> None:
        self._options, self._rest, self._at_line_start = options, b"", True
        self._left = options.limit_bytes
        self._since = None if options.since is None else timestamps.format_micro_time(options.since)[:-1].encode()

    @property
    def done(self) -> bool:
        """Nothing more will be shown."""
        return self._left is not None and self._left <= 0

    def feed(self, data: bytes) -> bytes:
        """What ``data`` adds; an entry that is not complete yet waits for more."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return self._cut(b"".join(self._show(line) for line in lines))

    def rest(self) -> bytes:
        """What an unfinished last entry adds, at the end of a log."""
        line, self._rest = self._rest, b""
        return self._cut(self._show(line)) if line else b""

    def _show(self, line: bytes) -> bytes:
        entry = parse_line(line)
        if entry is None:
            return b""
        if self._since is not None and _utc(entry.timestamp) < self._since:
            return b""
        stamp = _shown(entry.timestamp) + b" " if self._options.timestamps and self._at_line_start else b""
        self._at_line_start = not entry.partial
        return stamp + entry.content

    def _cut(self, text: bytes) -> bytes:
        if self._left is None:
            return text
        text = text[: max(self._left, 0)]
        self._left -= len(text)
        return text


def _shown(stamp: bytes) -> bytes:
    """A log's timestamp as Go prints it: the monitor writes UTC as an offset of nothing."""
    return stamp[:-6] + b"Z" if stamp.endswith(b"+00:00") else stamp


def _utc(stamp: bytes) -> bytes:
    """A log's timestamp in a form that compares as text; most are in UTC already."""
    for ending in (b"Z", b"+00:00"):
        if stamp.endswith(ending):
            return stamp[: -len(ending)]
    try:
        return timestamps.format_micro_time(timestamps.parse(stamp.decode("ascii", "replace")))[:-1].encode()
    except timestamps.TimestampError:
        return stamp


def tail_offset(descriptor: int, lines: int, end: int) -> int:
    """Where the last ``lines`` entries of a file's first ``end`` bytes begin, found from there in blocks."""
    if lines <= 0:
        return end
    closed = end > 0 and os.pread(descriptor, 1, end - 1) == b"\n"
    position = end - 1 if closed else end
    while position > 0:
        start = max(0, position - BLOCK)
        block = os.pread(descriptor, position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            lines -= 1
            if lines == 0:
                return start + at + 1
        position = start
    return 0


def _blocks(descriptor: int, position: int, end: float = math.inf) -> Iterator[bytes]:
    while block := os.pread(descriptor, int(min(BLOCK, end - position)), position):
        position += len(block)
        yield block


def _start(descriptor: int, options: LogOptions, end: int) -> int:
    return 0 if options.tail_lines is None else tail_offset(descriptor, options.tail_lines, end)


def read_log(path: Path, options: LogOptions) -> Iterator[bytes]:
    """What the log at ``path`` holds now, and nothing that comes while it is read. Raises FileNotFoundError."""
    shown = LogFilter(options)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end = os.fstat(descriptor).st_size
        for block in _blocks(descriptor, _start(descriptor, options, end), end):
            yield shown.feed(block)
            if shown.done:
                return
        yield shown.rest()
    finally:
        os.close(descriptor)


async def follow_log(
    path: Path, options: LogOptions, ended: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """The log at ``path`` as it is and as it grows, over rotations, until ``ended`` returns (the container has
    exited) and all is shown. Raises FileNotFoundError."""
    shown = LogFilter(options)
    file = _Growing(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    file.position = _start(file.descriptor, options, os.fstat(file.descriptor).st_size)
    finished = asyncio.Event()

    async def wait_for_end() -> None:
        await ended()
        finished.set()

    try:
        async with Inotify() as notices:
            notices.watch(path.parent, CREATE | MOVED_TO)
            notices.watch(path, MODIFY)
            while True:
                replaced = file.is_replaced()  # asked first: once it is, nothing is written to the old one any more
                for block in file.read():
                    yield shown.feed(block)
                    if shown.done:
                        return
                if replaced:
                    file.reopen()
                    notices.watch(path, MODIFY)
                elif finished.is_set():
                    yield shown.rest()
                    return
                else:
                    await first_of(notices.wait(), wait_for_end())
    finally:
        os.close(file.descriptor)


class _Growing(Struct):
    """A log file that may grow, or be replaced by a new one at its path."""

    path: Path
    descriptor: int
    position: int = 0

    def read(self) -> Iterator[bytes]:
        for block in _blocks(self.descriptor, self.position):
            self.position += len(block)
            yield block

    def is_replaced(self) -> bool:
        """Whether another file is at the path now."""
        try:
            present = self.path.stat()
        except FileNotFoundError:
            return False
        held = os.fstat(self.descriptor)
        return (present.st_dev, present.st_ino) != (held.st_dev, held.st_ino)

    def reopen(self) -> None:
        """Turns to the file that is at the path now."""
        fresh = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        os.close(self.descriptor)
        self.descriptor, self.position = fresh, 0
