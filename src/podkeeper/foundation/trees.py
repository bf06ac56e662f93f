"""Counting and removing directory trees that a stranger has filled.

A container can nest directories deeper than a path can say (4096 bytes), than a process may have files open, and than
Python's stack is high: shutil.rmtree and os.walk give up there. Nothing here recurses or follows a link.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 3000  # characters of a path that are opened at once


def remove_tree(root: Path) -> None:
    """Removes a directory with everything in it. Raises OSError (also for what is mounted inside).

    Every directory is moved to the top before it is looked into, so that none is deep.
    """
    top = os.open(root, _FOLDER)
    try:
        prefix, moved = uuid.uuid4().hex, 0
        pending = _unlink_files(top)
        while pending:
            name = pending.pop()
            folder = os.open(name, _FOLDER, dir_fd=top)
            try:
                for below in _unlink_files(folder):
                    pending.append(f"{prefix}-{moved}")
                    os.rename(below, pending[-1], src_dir_fd=folder, dst_dir_fd=top)
                    moved += 1
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(root)


def tree_usage(root: Path) -> tuple[int, int]:
    """Bytes on the disk and inodes of everything below ``root``; what vanishes meanwhile is not counted."""
    size = inodes = 0
    pending: list[tuple[str, ...]] = [(str(root),)]
    while pending:
        chunks = pending.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), _entries(chunks) as entries:
            for entry in entries:
                inodes += 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(_joined(chunks, entry.name))
                with contextlib.suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size, inodes


def _unlink_files(folder: int) -> list[str]:
    """Removes everything but the directories, whose names it returns."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in found if is_folder]


def _joined(chunks: tuple[str, ...], name: str) -> tuple[str, ...]:
    *before, last = chunks
    return (*before, f"{last}/{name}") if len(last) + len(name) < _CHUNK else (*chunks, name)


@contextlib.contextmanager
def _entries(chunks: tuple[str, ...]) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in the directory at the end of the parts of a path."""
    handle = os.open(chunks[0], _FOLDER)
    try:
        for chunk in chunks[1:]:
            below = os.open(chunk, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        with os.scandir(handle) as entries:
            yield entries
    finally:
        os.close(handle)
