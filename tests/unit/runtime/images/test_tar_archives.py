"""Our tar reader and writer against each other and against Python's own."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.images import tarstream
from podkeeper.runtime.images.streams import HashingReader, PieceReader
from podkeeper.runtime.images.tarstream import BadArchive, TarEntry, TarStream
from podkeeper.runtime.images.tarwriter import header

_name = st.text(st.characters(blacklist_characters="\0/", blacklist_categories=("Cs",)), min_size=1, max_size=80)
_path = st.lists(_name, min_size=1, max_size=4).map("/".join)
_xattrs = st.dictionaries(st.from_regex(r"user\.[a-z]{1,8}", fullmatch=True), st.binary(max_size=40), max_size=2)
_entries = st.builds(
    TarEntry,
    path=_path,
    type=st.sampled_from((tarstream.REGULAR, tarstream.SYMLINK, tarstream.HARDLINK, tarstream.FIFO)),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**31),
    gid=st.integers(0, 2**31),
    size=st.just(0),
    mtime_ns=st.integers(-(2**31), 2**34).map(lambda seconds: seconds * 10**9),
    xattrs=_xattrs,
).flatmap(lambda entry: st.one_of(st.just(entry), _path.map(lambda target: _with_target(entry, target))))


def _with_target(entry: TarEntry, target: str) -> TarEntry:
    if entry.type in (tarstream.SYMLINK, tarstream.HARDLINK):
        entry.target = target
    return entry


def read(data: bytes, piece: int = 4096) -> list[tuple[TarEntry, bytes]]:
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    stream = TarStream(PieceReader(pieces))
    return [(entry, b"".join(stream.chunks(700))) for entry in stream]


@settings(max_examples=150, deadline=None)
@given(st.lists(_entries, max_size=5))
def test_what_is_written_is_read(entries: list[TarEntry]) -> None:
    data = b"".join(header(entry) for entry in entries) + bytes(1024)
    assert [entry for entry, _ in read(data)] == entries


@settings(max_examples=100, deadline=None)
@given(_entries)
def test_pythons_reader_understands_our_headers(entry: TarEntry) -> None:
    with tarfile.open(fileobj=io.BytesIO(header(entry) + bytes(1024))) as archive:
        member = archive.getmembers()[0]
    assert (member.name, member.uid, member.gid) == (entry.path.rstrip("/"), entry.uid, entry.gid)
    assert (member.mode, int(member.mtime) * 10**9, member.linkname) == (entry.mode, entry.mtime_ns, entry.target)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_path, st.binary(max_size=2000)), max_size=4),
    st.sampled_from((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)),
    st.integers(1, 3000),
)
def test_pythons_archives_are_read_in_pieces_of_any_size(files: list[tuple[str, bytes]], kind: int, piece: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert [(entry.path, data) for entry, data in read(buffer.getvalue(), piece)] == files


def test_data_that_nobody_takes_is_skipped() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("a", "b"):
            member = tarfile.TarInfo(name)
            member.size = 1000
            archive.addfile(member, io.BytesIO(bytes(1000)))
    reader = HashingReader(iter([buffer.getvalue()]))
    assert [entry.path for entry in TarStream(reader)] == ["a", "b"]
    assert reader.finish().startswith("sha256:")
    assert reader.size == len(buffer.getvalue())


def _entry(size: int = 0, **fields: object) -> TarEntry:
    return TarEntry("file", tarstream.REGULAR, 0o644, 0, 0, size, 0, **fields)  # type: ignore[arg-type]


def _patched(block: bytes, start: int, value: bytes) -> bytes:
    """A header with other bytes and a checksum that fits."""
    changed = bytearray(block)
    changed[start : start + len(value)] = value
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (header(_entry(100)) + b"short", "ends in the middle of a file"),
        (header(_entry(100)) + bytes(100), "ends in the middle of a file"),
        (header(_entry())[:300], "ends in the middle of a header"),
        (b"x" * 512, "checksum"),
        (_patched(header(_entry()), 156, b"S"), "sparse"),
        (_patched(header(_entry()), 156, b"V"), "unsupported type b'V'"),
        (_patched(header(_entry()), 124, b"notoctal"), "as its size"),
        (_patched(header(_entry()), 124, b"\xff" * 12), "-1 as its size"),
        (header(_entry(xattrs={"x" * (1 << 20): b"y"})), "too large"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        read(data)


def test_sparse_files_in_pax_headers_are_refused() -> None:
    member = tarfile.TarInfo("hole")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    with pytest.raises(BadArchive, match="'hole' is a sparse file"):
        read(member.tobuf(tarfile.PAX_FORMAT) + bytes(1024))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1500), st.integers(0, 1500))
def test_damage_never_leads_anywhere_but_to_a_refusal(noise: bytes, at: int) -> None:
    data = bytearray(b"".join(header(_entry(xattrs={"user.a": b"b"})) for _ in range(2)) + bytes(1024))
    data[at : at + len(noise)] = noise
    try:
        read(bytes(data))
    except BadArchive:
        return
