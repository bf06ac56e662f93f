"""Decompression while reading: gzip, zstd or none, told by the first bytes, with the digest of what comes out.

Hashing runs on a thread of its own beside decompression: both release the interpreter lock.
"""

from __future__ import annotations

import hashlib
import io
import queue
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

_PIECE = 1 << 18
_MOST = 1 << 20  # bytes that one piece may unpack to
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"


class BadCompression(ValueError):
    """Compressed data is damaged, cut short, or of a kind that is not supported."""


class _Decompressor(Protocol):
    """What the standard library's decompressors have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Inflater:
    """gzip by zlib, whose decompressor leaves to its caller what it has not taken yet."""

    def __init__(self) -> None:
        self._machine = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._machine.eof

    @property
    def needs_input(self) -> bool:
        return not self._machine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._machine.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._machine.decompress(self._machine.unconsumed_tail + data, max_length)


def decompressed(source: BinaryIO) -> Iterator[bytes]:
    """The uncompressed contents of ``source`` in pieces. Raises BadCompression."""
    head = source.read(_PIECE)
    if head.startswith(_GZIP):
        return _members(source, head, _Inflater, zlib.error)
    if head.startswith(_ZSTD):
        return _zstd(source, head)
    if head.startswith(_XZ):
        return _xz(source, head)
    if head.startswith(_BZIP2):
        return _bzip2(source, head)
    return _plain(source, head)


def load_all() -> None:
    """Imports every decompressor, for a process that will not be able to later."""
    for start in (_zstd, _xz, _bzip2):
        start(io.BytesIO(), b"")


def _plain(source: BinaryIO, head: bytes) -> Iterator[bytes]:
    while head:
        yield head
        head = source.read(_PIECE)


def _zstd(source: BinaryIO, head: bytes) -> Iterator[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return _members(source, head, zstd.ZstdDecompressor, zstd.ZstdError)


def _xz(source: BinaryIO, head: bytes) -> Iterator[bytes]:
    import lzma

    return _members(source, head, lzma.LZMADecompressor, lzma.LZMAError)


def _bzip2(source: BinaryIO, head: bytes) -> Iterator[bytes]:
    import bz2

    return _members(source, head, bz2.BZ2Decompressor, OSError)


def _members(
    source: BinaryIO, data: bytes, make: Callable[[], _Decompressor], failure: type[Exception]
) -> Iterator[bytes]:
    """Members (gzip) or frames (zstd, xz, bzip2) one after the other, as ``cat a.gz b.gz`` makes them.

    A few bytes may stand for gigabytes: what comes out is taken in pieces of a bounded size.
    """
    while data:
        machine = make()
        while not machine.eof:
            try:
                piece = machine.decompress(data, _MOST)
            except failure as error:
                raise BadCompression(f"compressed data is damaged: {error}") from error
            if piece:
                yield piece
            data = b""
            if machine.needs_input and not machine.eof:
                data = source.read(_PIECE)
                if not data:
                    raise BadCompression("compressed data ends too soon")
        data = machine.unused_data or source.read(_PIECE)
        if not data.strip(b"\0"):
            data = b""  # padding after the last member


class PieceReader:
    """A ByteSource over pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self.size = 0

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes; fewer only at the end."""
        if len(self._piece) >= size:
            data, self._piece = self._piece[:size], self._piece[size:]
            return bytes(data)
        parts = []
        while size and (data := self._take(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def read_some(self, limit: int) -> bytes:
        """Between 1 and ``limit`` bytes, whatever is at hand; empty at the end."""
        return bytes(self._take(limit))

    def passed(self, piece: bytes) -> None:
        """Sees each piece once."""
        self.size += len(piece)

    def _take(self, limit: int) -> memoryview:
        if not self._piece:
            piece = next(self._pieces, b"")
            self.passed(piece)
            self._piece = memoryview(piece)
        data, self._piece = self._piece[:limit], self._piece[limit:]
        return data


class HashingReader(PieceReader):
    """Also knows the digest of everything that has passed. Its thread ends with ``finish``, or with the process."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__(pieces)
        self._digest = hashlib.sha256()
        self._queue: queue.Queue[bytes | None] = queue.Queue(maxsize=16)
        self._hasher = threading.Thread(target=self._hash, name="layer-digest", daemon=True)
        self._hasher.start()

    def passed(self, piece: bytes) -> None:
        """Hands each piece to the thread."""
        super().passed(piece)
        if piece:
            self._queue.put(piece)

    def finish(self) -> str:
        """Reads to the end and returns ``sha256:...`` of the whole."""
        while self._take(_PIECE):
            pass
        self._queue.put(None)
        self._hasher.join()
        return f"sha256:{self._digest.hexdigest()}"

    def _hash(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._digest.update(piece)
