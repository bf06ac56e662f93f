"""The program that unpacks one layer: ``python -m podkeeper.runtime.images.unpack DIR < layer``, report on stdout.

It makes DIR its root directory before it reads the first byte, so the kernel itself resolves every link and ``..``
inside DIR: no archive can reach outside, and entries below the layer's own symlinks land where a container sees them.
Whiteouts become overlayfs' own: a 0/0 character device for a deleted name, an attribute for an opaque directory.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import posixpath
import stat
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from podkeeper.foundation.trees import remove_tree
from podkeeper.runtime.images import tarstream
from podkeeper.runtime.images.confinement import confine
from podkeeper.runtime.images.streams import BadCompression, HashingReader, decompressed
from podkeeper.runtime.images.tarstream import BadArchive, TarEntry, TarStream

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
T = TypeVar("T")

_WHITEOUT_META = ".wh..wh."
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
_PRIVATE_ATTRIBUTES = ("trusted.overlay.", "user.overlay.")
_RESERVE = 16 << 20  # bytes of the file system that no layer may take


@dataclass(slots=True)
class UnpackReport:
    """What came out. ``implied`` are directories without an entry of their own; ``links`` hard links whose target
    the layer does not hold: both are completed from the layers below. ``size`` counts file data."""

    diff_id: str = ""
    size: int = 0
    inodes: int = 0
    implied: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)


class LayerWriter:
    """Writes entries below the current root directory. Raises BadArchive, OSError.

    ``room`` is bytes; ``owner`` is whom directories belong to that no entry describes.
    """

    def __init__(self, room: int, owner: tuple[int, int] | None = None) -> None:
        self._room, self._owner = room, owner
        self._times: dict[str, int] = {}
        self._whiteouts: set[str] = set()
        self._implied: dict[str, None] = {"/": None}
        self.report = UnpackReport()

    def add(self, entry: TarEntry, stream: TarStream) -> None:
        """One entry; its data is taken from ``stream``."""
        path = self.place(entry.path)
        folder, name = posixpath.split(path)
        if name.startswith(WHITEOUT):
            self.whiteout(folder, name)
        elif path == "/":
            if entry.type != tarstream.DIRECTORY:
                raise BadArchive(f"{entry.path!r} would replace the root directory")
            self._implied.pop(path, None)
            self._finish(path, entry)
        else:
            self.create(path, entry, stream)

    def place(self, path: str) -> str:
        """Where an entry goes. Raises BadArchive when it points outside."""
        return clean(path)

    def close(self) -> UnpackReport:
        """Sets the times of directories, which writing into them has changed, and returns the report."""
        for path, mtime in reversed(self._times.items()):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, ns=(mtime, mtime), follow_symlinks=False)
        self.report.implied = sorted({os.path.realpath(path) for path in self._implied if os.path.isdir(path)})
        return self.report

    def create(self, path: str, entry: TarEntry, stream: TarStream) -> None:
        kind = entry.type
        if kind == tarstream.REGULAR:
            self._regular(path, entry, stream)
        elif kind == tarstream.DIRECTORY:
            self._directory(path, entry)
        elif kind == tarstream.SYMLINK:
            self._retry(path, lambda: os.symlink(entry.target, path))
        elif kind == tarstream.HARDLINK:
            self._hardlink(path, entry)
        else:
            self._node(path, entry)
        if kind not in (tarstream.REGULAR, tarstream.HARDLINK):
            self._finish(path, entry)

    def _regular(self, path: str, entry: TarEntry, stream: TarStream) -> None:
        if entry.size > self._room:
            raise BadArchive(f"{entry.path!r} needs {entry.size} bytes, but only {self._room} are free")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = self._retry(path, lambda: os.open(path, flags, 0o600))
        try:
            for data in stream.chunks():
                _write_all(handle, data)
            os.fchown(handle, entry.uid, entry.gid)
            os.fchmod(handle, entry.mode)
            _set_xattrs(handle, entry)
            os.utime(handle, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(handle)
        self._room -= entry.size
        self.report.size += entry.size

    def _directory(self, path: str, entry: TarEntry) -> None:
        try:
            os.mkdir(path, 0o700)
            self.report.inodes += 1
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                self._retry(path, lambda: os.mkdir(path, 0o700))
                if path in self._whiteouts:
                    self._make_opaque(path)
        except (FileNotFoundError, NotADirectoryError):
            self._retry(path, lambda: os.mkdir(path, 0o700))
        self._implied.pop(path, None)

    def _hardlink(self, path: str, entry: TarEntry) -> None:
        """Nothing follows: the other name's attributes are its own."""
        target = self.place(entry.target)
        if target == path:
            raise BadArchive(f"{entry.path!r} is a hard link to itself")
        try:
            self._retry(path, lambda: os.link(target, path, follow_symlinks=False))
        except FileNotFoundError:
            self.report.links.append((path, target))
        except PermissionError as error:
            raise BadArchive(f"{entry.path!r} cannot be a hard link to {entry.target!r}") from error

    def _node(self, path: str, entry: TarEntry) -> None:
        kinds = {
            tarstream.FIFO: stat.S_IFIFO,
            tarstream.CHARACTER: stat.S_IFCHR,
            tarstream.BLOCK_DEVICE: stat.S_IFBLK,
        }
        mode = kinds[entry.type] | 0o600
        self._retry(path, lambda: os.mknod(path, mode, os.makedev(*entry.device)))

    def _finish(self, path: str, entry: TarEntry) -> None:
        """Owner first: changing it clears set-user-ID bits and capabilities."""
        os.lchown(path, entry.uid, entry.gid)
        if entry.type != tarstream.SYMLINK:
            os.chmod(path, entry.mode)
        _set_xattrs(path, entry)
        if entry.type == tarstream.DIRECTORY:
            self._times[path] = entry.mtime_ns
        else:
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)

    def whiteout(self, folder: str, name: str) -> None:
        if name == OPAQUE:
            self._make_folder(folder)
            self._make_opaque(folder)
        elif not name.startswith(_WHITEOUT_META):
            hidden = posixpath.join(folder, name.removeprefix(WHITEOUT))
            if posixpath.basename(hidden) in ("", ".", ".."):
                raise BadArchive(f"{posixpath.join(folder, name)!r} hides nothing that has a name")
            self._hide(hidden)

    def _hide(self, path: str) -> None:
        """A whiteout concerns the layers below: what this layer itself has put there stays."""
        try:
            existing = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._whiteouts.add(path)
            self._retry(path, lambda: os.mknod(path, stat.S_IFCHR, 0))
        else:
            if stat.S_ISDIR(existing.st_mode):
                self._make_opaque(path)

    def _make_opaque(self, path: str) -> None:
        os.setxattr(path, _OPAQUE_ATTRIBUTE, b"y")

    def _retry(self, path: str, create: Callable[[], T]) -> T:
        """Runs ``create``, making parents that have no entry and removing what an earlier entry put at ``path``."""
        while True:
            try:
                made = create()
            except FileExistsError:
                self.replace(path)
            except NotADirectoryError:
                self.clear_way(path)
            except FileNotFoundError:
                if os.path.isdir(posixpath.dirname(path)):
                    raise  # the other name of a hard link is what is missing
                self._make_folder(posixpath.dirname(path))
            else:
                self.report.inodes += 1
                return made

    def replace(self, path: str) -> None:
        """Removes what an earlier entry put at ``path``."""
        _remove(path)

    def _make_folder(self, path: str) -> None:
        """Makes a directory that no entry describes, where links lead; its attributes come from the layers below."""
        path, missing = os.path.realpath(path), []
        while not os.path.isdir(path):
            missing.append(path)
            path = posixpath.dirname(path)
        for folder in reversed(missing):
            self._retry(folder, partial(os.mkdir, folder, 0o755))
            self._implied[folder] = None
            if self._owner:
                os.chown(folder, *self._owner)
            if folder in self._whiteouts:
                self._make_opaque(folder)

    def clear_way(self, path: str) -> None:
        """Removes the one parent of ``path`` that is not a directory (a whiteout or a file of this layer)."""
        parent = posixpath.dirname(path)
        while parent != "/":
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if not stat.S_ISDIR(os.stat(parent).st_mode):
                    _remove(parent)
                    if parent in self._whiteouts:
                        self._make_folder(parent)
                    return
            parent = posixpath.dirname(parent)
        raise BadArchive(f"{path!r} lies below a link that leads nowhere")


def unpack_into_root(reader: HashingReader, make: Callable[[int], LayerWriter] = LayerWriter) -> UnpackReport:
    """Unpacks an archive into the process's root directory. Raises BadArchive, BadCompression, OSError."""
    free = os.statvfs("/")
    writer = make(free.f_bavail * free.f_frsize - _RESERVE)
    stream = TarStream(reader)
    for entry in stream:
        writer.add(entry, stream)
    report = writer.close()
    report.diff_id = reader.finish()
    return report


def main(root: str, make: Callable[[int], LayerWriter] = LayerWriter) -> int:
    """Unpacks standard input into ``root``. Prints the report, or the cause of failure, as one JSON object."""
    reader = HashingReader(decompressed(sys.stdin.buffer))
    confine(root)
    try:
        print(json.dumps(asdict(unpack_into_root(reader, make))))
    except (BadArchive, BadCompression) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    except OSError as error:
        print(json.dumps({"error": f"{error.filename or 'layer'}: {error.strerror}"}))
        return 1
    return 0


def clean(path: str) -> str:
    """The absolute path that ``path`` means inside the layer. Raises BadArchive when it points outside."""
    clean = posixpath.normpath(f"./{path}")
    if clean == ".." or clean.startswith("../"):
        raise BadArchive(f"{path!r} points outside of the layer")
    return posixpath.normpath(f"/{clean}")


def _remove(path: str) -> None:
    if stat.S_ISDIR(os.lstat(path).st_mode):
        remove_tree(Path(path))
    else:
        os.unlink(path)


def _write_all(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, memoryview(data)[written:])


def _set_xattrs(target: int | str, entry: TarEntry) -> None:
    """Overlayfs' own attributes are dropped: an image must not steer the mount. A file system that cannot keep an
    attribute is tolerated, except for capabilities, without which the program would not do its work."""
    for name, value in entry.xattrs.items():
        if name.startswith(_PRIVATE_ATTRIBUTES):
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM) or name == "security.capability":
                raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
