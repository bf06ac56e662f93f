"""Writing tar archives that are the same for the same files: ustar, with pax records where ustar has no room.

Files come in the order in which they are added; owners are numbers, times whole seconds.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from podkeeper.runtime.images.tarstream import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARDLINK,
    REGULAR,
    SYMLINK,
    TarEntry,
)

_PIECE = 1 << 20
_PRIVATE_ATTRIBUTES = ("trusted.overlay.", "user.overlay.", "security.selinux", "system.")
_TYPES = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
_OCTAL_7, _OCTAL_11 = 8**7 - 1, 8**11 - 1


class TarWriter:
    """Entries go to ``write``, which takes bytes. Several names of one file become hard links to its first."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._names: dict[tuple[int, int], str] = {}
        self.size = 0
        self.entries = 0

    def add_file(self, path: str, entry: TarEntry, found: os.stat_result) -> None:
        """Writes ``entry`` (made by ``entry_of``) with the data of the file at ``path``."""
        if entry.type == REGULAR and found.st_nlink > 1:
            first = self._names.setdefault((found.st_dev, found.st_ino), entry.path)
            if first != entry.path:
                entry.type, entry.size, entry.target, entry.xattrs = HARDLINK, 0, first, {}
        self.add(entry)
        if entry.size:
            self._data(path, entry.size)
        self.size += entry.size

    def add(self, entry: TarEntry) -> None:
        """Writes a header alone."""
        self._write(header(entry))
        self.entries += 1

    def add_data(self, pieces: Iterable[bytes], size: int) -> None:
        """Writes the data of the entry that was added last."""
        for data in pieces:
            self._write(data)
        self._write(bytes(-size % BLOCK))

    def close(self) -> None:
        """Writes the end mark."""
        self._write(bytes(2 * BLOCK))

    def _data(self, path: str, size: int) -> None:
        left = size
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as source:
            while left:
                data = source.read(min(_PIECE, left))
                if not data:
                    raise OSError(f"{path} became shorter while it was read")
                left -= len(data)
                self._write(data)
        self._write(bytes(-size % BLOCK))


def entry_of(path: str, name: str, found: os.stat_result) -> TarEntry | None:
    """The entry for the file at ``path`` (lstat ``found``) under ``name``; None for a socket, which has none."""
    kind = _TYPES.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    entry = TarEntry(
        path=f"{name}/" if kind == DIRECTORY else name,
        type=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size if kind == REGULAR else 0,
        mtime_ns=found.st_mtime_ns,
    )
    if kind == SYMLINK:
        entry.target = os.readlink(path)
        entry.mode = 0o777
    elif kind in (CHARACTER, BLOCK_DEVICE):
        entry.device = (os.major(found.st_rdev), os.minor(found.st_rdev))
    entry.xattrs = dict(_xattrs(path))
    return entry


def header(entry: TarEntry) -> bytes:
    """One entry's blocks: a pax header if needed, then the ustar one."""
    records: dict[str, bytes] = {}
    path = _field(entry.path, 100, "path", records)
    target = _field(entry.target, 100, "linkpath", records)
    numbers = []
    seconds = entry.mtime_ns // 1_000_000_000
    for key, value, limit in (
        ("uid", entry.uid, _OCTAL_7),
        ("gid", entry.gid, _OCTAL_7),
        ("size", entry.size, _OCTAL_11),
        ("mtime", seconds, _OCTAL_11),
    ):
        if not 0 <= value <= limit:
            records[key] = str(value).encode()
        numbers.append(value if 0 <= value <= limit else 0)
    for key, raw in sorted(entry.xattrs.items()):
        records[f"SCHILY.xattr.{key}"] = raw
    block = _ustar(path, entry.type, entry.mode, numbers, target, entry.device)
    return (_pax(records) if records else b"") + block


def _ustar(path: bytes, kind: bytes, mode: int, numbers: list[int], target: bytes, device: tuple[int, int]) -> bytes:
    uid, gid, size, mtime = numbers
    block = bytearray(BLOCK)
    block[0:100] = path.ljust(100, b"\0")
    block[100:108] = b"%07o\0" % mode
    block[108:116] = b"%07o\0" % uid
    block[116:124] = b"%07o\0" % gid
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % mtime
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = target.ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[329:337] = b"%07o\0" % device[0]
    block[337:345] = b"%07o\0" % device[1]
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _pax(records: dict[str, bytes]) -> bytes:
    data = b"".join(_record(key.encode(), value) for key, value in records.items())
    block = _ustar(b"pax", b"x", 0o644, [0, 0, len(data), 0], b"", (0, 0))
    return block + data + bytes(-len(data) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE\\n``, where LENGTH counts its own digits too."""
    body = b" %b=%b\n" % (key, value)
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:
        length += 1
    return b"%d%b" % (length, body)


def _field(text: str, room: int, key: str, records: dict[str, bytes]) -> bytes:
    raw = text.encode(errors="surrogateescape")
    if len(raw) > room or not raw.isascii():
        records[key] = raw
    return raw[:room]


def _xattrs(path: str) -> Iterator[tuple[str, bytes]]:
    with contextlib.suppress(OSError):
        for name in sorted(os.listxattr(path, follow_symlinks=False)):
            if not name.startswith(_PRIVATE_ATTRIBUTES):
                yield name, os.getxattr(path, name, follow_symlinks=False)
