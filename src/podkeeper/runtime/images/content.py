"""Layer blobs on their way into the node, by digest: downloads that survive an interruption, checked before use.

    (nothing) --ingest--> partial --commit (size and digest right)--> blob --drop--> (nothing)
                             ^ resumed by the next ingest

A blob is dropped once its layer is unpacked, so that an image is on the disk only once. Several processes share one
directory: a file lock keeps one writer per partial, the gate (gate.py) a blob from being dropped under a reader.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.threads import run_to_end, wait_for_lock

_STALE = 24 * 3600  # seconds after which an interrupted download is given up
_PIECE = 1 << 20
_NO_SPACE = frozenset((errno.ENOSPC, errno.EDQUOT))


class DigestMismatch(RuntimeFailure):
    """What arrived is not what was asked for."""


class NoRoom(RuntimeFailure):
    """The disk has less room than the blob needs."""


class Partial:
    """A blob that is being written, locked against other writers. ``offset`` is how much is there already."""

    def __init__(self, handle: int, digest: str, size: int) -> None:
        self._handle, self._digest, self._size = handle, digest, size
        self._hash = hashlib.sha256()
        self.offset = 0
        while piece := os.read(handle, _PIECE):
            self._hash.update(piece)
            self.offset += len(piece)
        if size >= 0 and self.offset > size:
            self.restart()

    def __repr__(self) -> str:
        return f"<Partial {self._digest} {self.offset}/{self._size}>"

    def write(self, data: bytes) -> None:
        """Appends. Raises DigestMismatch when more arrives than was announced."""
        if 0 <= self._size < self.offset + len(data):
            raise DigestMismatch(f"blob {self._digest} is longer than the {self._size} bytes that were announced")
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]
        self._hash.update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Forgets what is there."""
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset = 0

    def commit(self, path: Path, target: Path) -> None:
        """Makes the file at ``path`` the blob ``target``. Raises DigestMismatch."""
        actual = f"sha256:{self._hash.hexdigest()}"
        if actual != self._digest or (self._size >= 0 and self.offset != self._size):
            raise DigestMismatch(
                f"blob {self._digest} of {self._size} bytes arrived as {actual} of {self.offset} bytes"
            )
        os.fsync(self._handle)
        path.rename(target)


class ContentStore:
    """Blobs below ``root``: ``blobs/sha256/HEX`` and ``ingest/HEX``."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._ingest = root / "ingest"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._ingest.mkdir(exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be. Raises DigestMismatch for what is no SHA-256 digest."""
        return self._blobs / _hex(digest)

    def has(self, digest: str) -> bool:
        """Whether the blob is complete. It stays as long as the caller holds the gate shared."""
        return self.path(digest).exists()

    @contextlib.asynccontextmanager
    async def ingest(self, digest: str, size: int = -1) -> AsyncIterator[Partial | None]:
        """A partial to fill, locked; None when the blob is there (also: when another writer has just finished it).

        Leaving without an error commits. After an error the partial stays for the next one, which goes on from there;
        unless it is not what was announced, or fills the disk. Waits for another writer of the same blob.
        """
        target = self.path(digest)
        path = self._ingest / _hex(digest)
        handle = await _open_locked(path)
        try:
            if target.exists():
                path.unlink(missing_ok=True)
                yield None
                return
            partial = await run_to_end(Partial, handle, digest, size)
            try:
                self._check_room(digest, size - partial.offset)
                yield partial
                await run_to_end(partial.commit, path, target)
            except (DigestMismatch, NoRoom):
                path.unlink(missing_ok=True)
                raise
            except OSError as error:
                if error.errno in _NO_SPACE:
                    path.unlink(missing_ok=True)
                raise
        finally:
            os.close(handle)

    def _check_room(self, digest: str, needed: int) -> None:
        disk = os.statvfs(self._ingest)
        free = disk.f_bavail * disk.f_frsize
        if needed > free:
            raise NoRoom(f"blob {digest} needs {needed} bytes, but only {free} are free")

    async def put(self, digest: str, pieces: Iterable[bytes], size: int = -1) -> None:
        """Stores a whole blob from ``pieces``. Raises DigestMismatch, NoRoom, OSError. Nothing is resumed."""
        async with self.ingest(digest, size) as partial:
            if partial is None:
                return
            try:
                await run_to_end(_fill, partial, pieces)
            except BaseException:
                partial.restart()
                raise

    def drop(self, digests: Iterable[str], now: float) -> None:
        """Drops blobs that have served, and what an interrupted download left a day ago. Needs the gate alone."""
        for digest in digests:
            self.path(digest).unlink(missing_ok=True)
        for folder in (self._ingest, self._blobs):
            for path in folder.iterdir():
                if path.stat().st_mtime < now - _STALE:
                    path.unlink()


def _hex(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    if algorithm != "sha256" or len(encoded) != 64 or set(encoded) - set("0123456789abcdef"):
        raise DigestMismatch(f"{digest!r} is not a SHA-256 digest")
    return encoded


def _fill(partial: Partial, pieces: Iterable[bytes]) -> None:
    partial.restart()
    for piece in pieces:
        partial.write(piece)


async def _open_locked(path: Path) -> int:
    """Opens and locks; a file that was renamed or removed while we waited is not the one that we want."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await wait_for_lock(handle, fcntl.LOCK_EX)
            if _is(handle, path):
                return handle
        except FileNotFoundError:
            os.close(handle)
        except BaseException:
            os.close(handle)
            raise
        else:
            os.close(handle)


def _is(handle: int, path: Path) -> bool:
    return os.path.samestat(os.fstat(handle), path.stat())
