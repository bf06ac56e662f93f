"""Reading and writing the kernel's small control files, and walking the directories that are groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def read(file: Path) -> str:
    """The file's text without its last line end, or "" when group or file is not there."""
    try:
        return file.read_text().rstrip("\n")
    except (FileNotFoundError, NotADirectoryError, OSError):
        return ""


def read_number(file: Path) -> int:
    """The number in a file; 0 when it is not there or says ``max``."""
    text = read(file)
    return int(text) if text.lstrip("-").isdigit() else 0


def read_table(file: Path) -> dict[str, int]:
    """A flat-keyed file (``memory.stat``) as a dictionary."""
    rows = (line.split() for line in read(file).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def write(file: Path, value: str) -> None:
    """Writes in a single system call, as the kernel wants it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def groups_bottom_up(root: Path) -> Iterator[Path]:
    """``root`` and every group below it, children before parents. Nothing when ``root`` is not there."""
    try:
        entries = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for child in entries:
        yield from groups_bottom_up(child)
    yield root


def process_ids(root: Path) -> set[int]:
    """Processes in ``root`` and below it."""
    return {int(text) for group in groups_bottom_up(root) for text in read(group / "cgroup.procs").split()}
