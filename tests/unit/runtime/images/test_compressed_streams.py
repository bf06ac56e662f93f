"""Decompression while reading: every kind, several members, damage."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import random
import sys
from collections.abc import Callable

import pytest

from podkeeper.runtime.images.streams import BadCompression, HashingReader, decompressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = random.Random(1).randbytes(700_000) + bytes(300_000)
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_every_kind_is_told_by_its_first_bytes(kind: str) -> None:
    data = KINDS.get(kind, lambda plain: plain)(DATA)
    reader = HashingReader(decompressed(io.BytesIO(data)))
    assert reader.read(10) == DATA[:10]
    assert reader.finish() == f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    assert reader.size == len(DATA)


@pytest.mark.parametrize("kind", KINDS)
def test_members_one_after_the_other_are_one_stream(kind: str) -> None:
    data = KINDS[kind](DATA) + KINDS[kind](b"more")
    assert b"".join(decompressed(io.BytesIO(data))) == DATA + b"more"


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_or_damaged_stream_is_refused(kind: str) -> None:
    data = KINDS[kind](DATA)
    with pytest.raises(BadCompression, match="ends too soon"):
        b"".join(decompressed(io.BytesIO(data[:-10])))
    broken = data[: len(data) // 2] + b"\xff" * 64 + data[len(data) // 2 + 64 :]
    with pytest.raises(BadCompression):
        b"".join(decompressed(io.BytesIO(broken)))


def test_nothing_is_an_empty_stream() -> None:
    assert b"".join(decompressed(io.BytesIO(b""))) == b""
    assert b"".join(decompressed(io.BytesIO(gzip.compress(b"")))) == b""


def test_zeros_after_the_last_member_are_padding() -> None:
    assert b"".join(decompressed(io.BytesIO(gzip.compress(b"x") + bytes(100)))) == b"x"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_little_and_unpacks_to_much_comes_in_small_pieces(kind: str) -> None:
    pieces = list(decompressed(io.BytesIO(KINDS[kind](bytes(100 << 20)))))
    assert sum(map(len, pieces)) == 100 << 20
    assert max(map(len, pieces)) <= 1 << 20
