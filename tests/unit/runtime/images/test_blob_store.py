"""Blobs on their way in: checked, resumed, written by one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from podkeeper.runtime.images.content import ContentStore, DigestMismatch

DATA = b"0123456789" * 1000
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path)


class Interrupted(Exception):
    """A download broke off."""


async def broken_off(content: ContentStore, digest: str, data: bytes) -> int:
    """A download that writes ``data`` and breaks off. Returns how much was there when it began."""
    found = -1
    with contextlib.suppress(Interrupted):
        async with content.ingest(digest, len(DATA)) as partial:
            assert partial is not None
            found = partial.offset
            partial.write(data)
            raise Interrupted
    return found


async def filled(content: ContentStore, digest: str, size: int, data: bytes) -> None:
    """A download that writes ``data`` and ends."""
    async with content.ingest(digest, size) as partial:
        assert partial is not None
        partial.write(data)


async def test_a_blob_appears_when_it_is_whole(content: ContentStore) -> None:
    async with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is not None
        partial.write(DATA[:100])
        assert not content.has(DIGEST)
        partial.write(DATA[100:])
    assert content.path(DIGEST).read_bytes() == DATA
    async with content.ingest(DIGEST, len(DATA)) as again:
        assert again is None


async def test_an_interrupted_download_goes_on_where_it_was(content: ContentStore) -> None:
    assert await broken_off(content, DIGEST, DATA[:4000]) == 0
    async with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is not None
        assert partial.offset == 4000
        partial.write(DATA[4000:])
    assert content.path(DIGEST).read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1], b"x" + DATA[1:]])
async def test_what_is_not_what_was_announced_is_thrown_away(content: ContentStore, data: bytes) -> None:
    with pytest.raises(DigestMismatch, match="arrived as"):
        await filled(content, DIGEST, len(DATA), data)
    assert not content.has(DIGEST)
    assert await broken_off(content, DIGEST, b"") == 0


async def test_more_than_was_announced_is_refused_at_once(content: ContentStore) -> None:
    with pytest.raises(DigestMismatch, match="longer than"):
        await filled(content, DIGEST, 10, DATA)
    assert await broken_off(content, DIGEST, b"") == 0


async def test_what_does_not_fit_on_the_disk_does_not_stay_there(content: ContentStore, tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield DATA[:4000]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await content.put(DIGEST, pieces(), len(DATA))
    assert list((tmp_path / "ingest").iterdir()) == []


async def test_a_second_writer_waits_and_finds_the_blob(content: ContentStore) -> None:
    async def second() -> bool:
        async with content.ingest(DIGEST, len(DATA)) as partial:
            return partial is None

    async with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is not None
        waiting = asyncio.create_task(second())
        given_up = asyncio.create_task(second())
        await asyncio.sleep(0)
        given_up.cancel()
        partial.write(DATA)
    assert await waiting
    with pytest.raises(asyncio.CancelledError):
        await given_up
    async with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is None


async def test_dropping_spares_what_may_be_resumed(content: ContentStore) -> None:
    await content.put(DIGEST, [DATA])
    other = "sha256:" + "0" * 64
    assert await broken_off(content, other, b"12345") == 0
    now = content.path(DIGEST).stat().st_mtime
    content.drop([DIGEST], now)
    assert not content.has(DIGEST)
    assert await broken_off(content, other, b"") == 5
    content.drop([], now + 25 * 3600)
    assert await broken_off(content, other, b"") == 0


@pytest.mark.parametrize("digest", ["md5:" + "0" * 32, "sha256:../../etc/passwd", "sha256:" + "A" * 64, "x"])
def test_only_digests_name_blobs(content: ContentStore, digest: str) -> None:
    with pytest.raises(DigestMismatch, match="is not a SHA-256 digest"):
        content.path(digest)
