"""The program that makes a layer of what was written into a snapshot: ``python -m podkeeper.runtime.images.pack DIR``.

Reports the digest that the layer has as a tar archive, without writing one: the directory itself becomes the layer.
With a second argument (seconds since the epoch) no file is younger, on disk and in the digest. With ``--tar`` in its
place the archive itself goes to standard output.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from podkeeper.runtime.images.tarstream import REGULAR, TarEntry
from podkeeper.runtime.images.tarwriter import TarWriter, entry_of
from podkeeper.runtime.images.unpack import OPAQUE, WHITEOUT

_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True)
class PackReport:
    """What the layer is: digest and length of its tar archive, bytes of file data, number of entries."""

    diff_id: str
    archive_size: int
    size: int
    inodes: int


def pack(folder: str, write: Callable[[bytes], object], youngest: int | None = None) -> TarWriter:
    """Writes the layer in ``folder`` (an overlayfs upper directory) as a tar archive with whiteout files."""
    writer = TarWriter(write)
    for path, name, found in _walk(folder, ""):
        if youngest is not None and found.st_mtime > youngest:
            os.utime(path, (youngest, youngest), follow_symlinks=False)
            found = os.lstat(path)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            writer.add(_whiteout(name, WHITEOUT + os.path.basename(name), found))
            continue
        entry = entry_of(path, name, found)
        if entry is None:
            continue
        writer.add_file(path, entry, found)
        if stat.S_ISDIR(found.st_mode) and _is_opaque(path):
            writer.add(_whiteout(f"{name}/x", OPAQUE, found))
    writer.close()
    return writer


def main(folder: str, option: str = "") -> int:
    """Runs as the module says."""
    if option == "--tar":
        pack(folder, sys.stdout.buffer.write)
        return 0
    digest = hashlib.sha256()
    length = 0

    def count(data: bytes) -> None:
        nonlocal length
        length += len(data)
        digest.update(data)

    writer = pack(folder, count, int(option) if option else None)
    report = PackReport(f"sha256:{digest.hexdigest()}", length, writer.size, writer.entries)
    print(json.dumps(asdict(report)))
    return 0


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Path, name in the archive and lstat of everything below, a directory before its contents, names sorted.

    A directory's time is looked at before its contents are changed and may be set again after: setting the times of
    its contents does not change it.
    """
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        found = os.lstat(path)
        yield path, f"{prefix}{name}", found
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(path, f"{prefix}{name}/")


def _whiteout(name: str, mark: str, found: os.stat_result) -> TarEntry:
    return TarEntry(os.path.join(os.path.dirname(name), mark), REGULAR, 0, 0, 0, 0, found.st_mtime_ns)


def _is_opaque(path: str) -> bool:
    try:
        return os.getxattr(path, _OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
