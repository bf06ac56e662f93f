"""Reading and making files inside a container's root file system without ever following a link out of it.

openat2(2) with RESOLVE_IN_ROOT (Linux 5.6) lets the kernel resolve every link as the container would see it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from podkeeper.foundation import syscalls

_LARGEST = 4 << 20


def open_in_root(root: Path, path: str, flags: int, mode: int = 0) -> int:
    """A descriptor of ``path`` as seen from ``root``. OSError as open(2)."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
        return syscalls.open_at(directory, path, flags, mode=mode, resolve=resolve)
    finally:
        os.close(directory)


def read_text(root: Path, path: str) -> str:
    """The text of a small file, "" when it is not there or not a regular file."""
    try:
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.pread(descriptor, _LARGEST, 0).decode(errors="replace")
    finally:
        os.close(descriptor)


def make_directories(root: Path, path: str, owner: tuple[int, int] = (0, 0)) -> None:
    """Makes a directory with its parents, as mkdir -p; the directories made belong to ``owner``."""
    seen = ""
    for part in Path(path).parts[1:] if path.startswith("/") else Path(path).parts:
        parent, seen = seen or "/", f"{seen}/{part}"
        try:
            os.close(open_in_root(root, seen, os.O_PATH | os.O_DIRECTORY))
        except FileNotFoundError:
            _make_directory(root, parent, part, owner)


def _make_directory(root: Path, parent: str, name: str, owner: tuple[int, int]) -> None:
    descriptor = open_in_root(root, parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.mkdir(name, 0o755, dir_fd=descriptor)
        os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
    finally:
        os.close(descriptor)
