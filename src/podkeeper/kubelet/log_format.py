"""Lines of container logs in the CRI format: ``2026-01-02T03:04:05.000000006Z stdout F text``.

``P`` marks a partial line, whose rest follows in the next entry of the same stream; ``F`` ends a line.
"""

from __future__ import annotations

from msgspec import Struct


class LogLine(Struct, frozen=True):
    """One entry; ``content`` ends with a newline unless it is partial."""

    timestamp: bytes
    stream: bytes
    content: bytes
    partial: bool


def parse_line(line: bytes) -> LogLine | None:
    """One entry without or with its newline; None for what is not in the format."""
    fields = line.rstrip(b"\n").split(b" ", 3)
    if len(fields) < 3 or fields[1] not in (b"stdout", b"stderr") or fields[2][:1] not in (b"F", b"P"):
        return None
    partial = fields[2].split(b":")[0] == b"P"
    content = fields[3] if len(fields) == 4 else b""
    return LogLine(fields[0], fields[1], content if partial else content + b"\n", partial)
