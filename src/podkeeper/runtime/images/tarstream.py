"""A tar archive read once, front to back: ustar, pax and GNU headers as plain entries, file data in pieces.

Quicker than tarfile (which seeks, keeps every member and resolves nothing that a layer needs), and stricter: what it
cannot honour (sparse files, unknown types) is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

BLOCK = 512
_ZERO = bytes(BLOCK)
_META_LIMIT = 1 << 20
_XATTR = "SCHILY.xattr."
_NOBODY_AT_ALL = (1 << 32) - 1  # to chown(2) it means that the owner stays
_TIMES = range(-(10**9 << 62), 10**9 << 62)  # nanoseconds that utime(2) takes; what is beyond is the epoch

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_KNOWN = frozenset((REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
_PLAIN_ALIASES = {b"\0": REGULAR, b"7": REGULAR}


class BadArchive(ValueError):
    """The archive is damaged, or holds what is not supported."""


class ByteSource(Protocol):
    """Uncompressed bytes in order."""

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes; fewer only at the end."""
        ...

    def read_some(self, limit: int) -> bytes:
        """Between 1 and ``limit`` bytes, whatever is at hand; empty at the end."""
        ...


@dataclass(slots=True)
class TarEntry:
    """One member. ``path`` and ``target`` are as written; ``type`` is one of the constants above; times are ns."""

    path: str
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = field(default_factory=dict)


class TarStream:
    """Iterates over entries; the data of the current entry is taken with ``chunks`` or skipped by going on."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._left = 0
        self._padding = 0
        self._global: dict[str, str] = {}

    def __iter__(self) -> Iterator[TarEntry]:
        """Every entry up to the end mark. Raises BadArchive."""
        pax: dict[str, str] = {}
        long_names: dict[str, str] = {}
        while (block := self._next_block()) is not None:
            kind = block[156:157]
            if kind in (b"x", b"g"):
                records = _pax_records(self._meta(block))
                (pax if kind == b"x" else self._global).update(records)
            elif kind in (b"L", b"K"):
                long_names["path" if kind == b"L" else "linkpath"] = _text(self._meta(block))
            else:
                entry = _entry(block, self._global | long_names | pax)
                self._left, self._padding = entry.size, -entry.size % BLOCK
                yield entry
                pax, long_names = {}, {}

    def chunks(self, limit: int = 1 << 20) -> Iterator[bytes]:
        """The data of the current entry. Raises BadArchive when the archive ends too soon."""
        while self._left:
            data = self._source.read_some(min(limit, self._left))
            if not data:
                raise BadArchive("the archive ends in the middle of a file")
            self._left -= len(data)
            yield data

    def _next_block(self) -> bytes | None:
        """The next header; None at the end mark, or where the archive just ends (as some writers leave it)."""
        for _ in self.chunks():
            pass
        if self._padding and len(self._source.read(self._padding)) < self._padding:
            raise BadArchive("the archive ends in the middle of a file")
        self._padding = 0
        block = self._source.read(BLOCK)
        if not block or block == _ZERO:
            return None
        if len(block) < BLOCK:
            raise BadArchive("the archive ends in the middle of a header")
        _check_sum(block)
        return block

    def _meta(self, block: bytes) -> bytes:
        """The data of an extension header, which describes the entry after it."""
        size = _number(block[124:136], "size")
        if size > _META_LIMIT:
            raise BadArchive(f"an extension header of {size} bytes is too large")
        padded = size + -size % BLOCK
        data = self._source.read(padded)
        if len(data) < padded:
            raise BadArchive("the archive ends in the middle of an extension header")
        return data[:size]


def _entry(block: bytes, extra: dict[str, str]) -> TarEntry:
    kind = block[156:157]
    kind = _PLAIN_ALIASES.get(kind, kind)
    path = extra.get("path") or _header_path(block)
    if kind == b"S" or any(key.startswith("GNU.sparse.") for key in extra):
        raise BadArchive(f"{path!r} is a sparse file, which is not supported in a layer")
    if kind not in _KNOWN:
        raise BadArchive(f"{path!r} has the unsupported type {kind!r}")
    if kind == REGULAR and path.endswith("/"):
        kind = DIRECTORY
    entry = TarEntry(
        path=path,
        type=kind,
        mode=_number(block[100:108], "mode") & 0o7777,
        uid=_decimal(extra, "uid", block[108:116]),
        gid=_decimal(extra, "gid", block[116:124]),
        size=_decimal(extra, "size", block[124:136]) if kind == REGULAR else 0,
        mtime_ns=_mtime(extra, block),
    )
    if max(entry.uid, entry.gid) >= _NOBODY_AT_ALL:
        raise BadArchive(f"{path!r} belongs to {entry.uid}:{entry.gid}, which no system has")
    if kind in (HARDLINK, SYMLINK):
        entry.target = extra.get("linkpath") or _text(block[157:257])
    elif kind in (CHARACTER, BLOCK_DEVICE):
        entry.device = (_number(block[329:337], "device"), _number(block[337:345], "device"))
    if extra:
        entry.xattrs = {
            key[len(_XATTR) :]: value.encode(errors="surrogateescape")
            for key, value in extra.items()
            if key.startswith(_XATTR)
        }
    if "\0" in entry.path or "\0" in entry.target:
        raise BadArchive(f"{entry.path!r} has a zero byte in its name")
    return entry


def _header_path(block: bytes) -> str:
    name = _text(block[0:100])
    if block[257:263] == b"ustar\0" and block[345]:
        return f"{_text(block[345:500])}/{name}"
    return name


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="surrogateescape")


def _number(raw: bytes, what: str) -> int:
    """Octal digits, or big-endian binary when the first bit is set (GNU)."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big", signed=True) & ((1 << (8 * len(raw) - 1)) - 1)
        if raw[0] == 0xFF:
            value -= 1 << (8 * len(raw) - 1)
        return value
    digits = raw.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError as error:
        raise BadArchive(f"a header has {raw!r} as its {what}") from error


def _decimal(extra: dict[str, str], key: str, raw: bytes) -> int:
    text = extra.get(key)
    try:
        value = _number(raw, key) if text is None else int(text)
    except ValueError as error:
        raise BadArchive(f"a header has {text!r} as its {key}") from error
    if value < 0:
        raise BadArchive(f"a header has {value} as its {key}")
    return value


def _mtime(extra: dict[str, str], block: bytes) -> int:
    text = extra.get("mtime")
    nanoseconds = _number(block[136:148], "mtime") * 1_000_000_000 if text is None else _nanoseconds(text)
    return nanoseconds if nanoseconds in _TIMES else 0


def _nanoseconds(text: str) -> int:
    whole, _, fraction = text.partition(".")
    try:
        nanoseconds = int((fraction + "000000000")[:9]) if fraction else 0
        return int(whole) * 1_000_000_000 + (-nanoseconds if whole.startswith("-") else nanoseconds)
    except ValueError as error:
        raise BadArchive(f"a header has {text!r} as its mtime") from error


def _pax_records(data: bytes) -> dict[str, str]:
    """``LENGTH KEY=VALUE\\n`` records; LENGTH counts the whole record."""
    records: dict[str, str] = {}
    start = 0
    while start < len(data) and data[start] != 0:
        blank = data.find(b" ", start, start + 20)
        try:
            end = start + int(data[start:blank])
        except ValueError as error:
            raise BadArchive("a pax header is malformed") from error
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if blank < 0 or not equals or end > len(data) or data[end - 1 : end] != b"\n":
            raise BadArchive("a pax header is malformed")
        records[key.decode(errors="replace")] = value.decode(errors="surrogateescape")
        start = end
    return records


def _check_sum(block: bytes) -> None:
    digits = block[148:156].strip(b" \0")
    if not digits or set(digits) - set(b"01234567") or sum(block) - sum(block[148:156]) + 256 != int(digits, 8):
        raise BadArchive("a header's checksum does not match: this is not a tar archive, or it is damaged")
