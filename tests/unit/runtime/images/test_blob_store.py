"""Blobs on their way in: checked, resumed, written by one at a time."""

from __future__ import annotations

import contextlib
import hashlib
import threading
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


def broken_off(content: ContentStore, digest: str, data: bytes) -> int:
    """A download that writes ``data`` and breaks off. Returns how much was there when it began."""
    found = -1
    with contextlib.suppress(Interrupted), content.ingest(digest, len(DATA)) as partial:
        assert partial is not None
        found = partial.offset
        partial.write(data)
        raise Interrupted
    return found


def filled(content: ContentStore, digest: str, size: int, data: bytes) -> None:
    """A download that writes ``data`` and ends."""
    with content.ingest(digest, size) as partial:
        assert partial is not None
        partial.write(data)


def test_a_blob_appears_when_it_is_whole(content: ContentStore) -> None:
    with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is not None
        partial.write(DATA[:100])
        assert not content.has(DIGEST)
        partial.write(DATA[100:])
    assert content.path(DIGEST).read_bytes() == DATA
    with content.ingest(DIGEST, len(DATA)) as again:
        assert again is None


def test_an_interrupted_download_goes_on_where_it_was(content: ContentStore) -> None:
    assert broken_off(content, DIGEST, DATA[:4000]) == 0
    with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is not None
        assert partial.offset == 4000
        partial.write(DATA[4000:])
    assert content.path(DIGEST).read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1], b"x" + DATA[1:]])
def test_what_is_not_what_was_announced_is_thrown_away(content: ContentStore, data: bytes) -> None:
    with pytest.raises(DigestMismatch, match="arrived as"):
        filled(content, DIGEST, len(DATA), data)
    assert not content.has(DIGEST)
    assert broken_off(content, DIGEST, b"") == 0


def test_more_than_was_announced_is_refused_at_once(content: ContentStore) -> None:
    with pytest.raises(DigestMismatch, match="longer than"):
        filled(content, DIGEST, 10, DATA)


def test_a_second_writer_waits_and_finds_the_blob(content: ContentStore) -> None:
    outcome: list[bool] = []

    def second() -> None:
        with content.ingest(DIGEST, len(DATA)) as partial:
            outcome.append(partial is None)

    with content.ingest(DIGEST, len(DATA)) as partial:
        assert partial is not None
        thread = threading.Thread(target=second)
        thread.start()
        partial.write(DATA)
    thread.join()
    assert outcome == [True]


def test_dropping_spares_what_may_be_resumed(content: ContentStore) -> None:
    content.put(DIGEST, [DATA])
    other = "sha256:" + "0" * 64
    assert broken_off(content, other, b"12345") == 0
    now = content.path(DIGEST).stat().st_mtime
    content.drop([DIGEST], now)
    assert not content.has(DIGEST)
    assert broken_off(content, other, b"") == 5
    content.drop([], now + 25 * 3600)
    assert broken_off(content, other, b"") == 0


@pytest.mark.parametrize("digest", ["md5:" + "0" * 32, "sha256:../../etc/passwd", "sha256:" + "A" * 64, "x"])
def test_only_digests_name_blobs(content: ContentStore, digest: str) -> None:
    with pytest.raises(DigestMismatch, match="is not a SHA-256 digest"):
        content.path(digest)
