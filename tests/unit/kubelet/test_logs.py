"""Reading container logs: filters against a model, tails from the end, following over growth, rotation and the end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api import timestamps
from podkeeper.kubelet import logs
from podkeeper.kubelet.log_format import parse_line
from podkeeper.kubelet.logs import LogFilter, LogOptions, _Growing, follow_log, read_log, tail_offset

STAMP = "2026-01-02T03:04:%02d.000000000Z"
texts = st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"x"))
entries = st.lists(st.tuples(texts, st.booleans(), st.sampled_from([b"stdout", b"stderr"])), max_size=30)


def encode(items: list[tuple[bytes, bool, bytes]]) -> bytes:
    lines = [
        (STAMP % (index % 60)).encode() + b" " + stream + (b" P " if partial else b" F ") + text + b"\n"
        for index, (text, partial, stream) in enumerate(items)
    ]
    return b"".join(lines)


def split(data: bytes) -> list[bytes]:
    return data.removesuffix(b"\n").split(b"\n") if data else []


def test_a_line_is_taken_apart() -> None:
    line = parse_line(b"2026-01-02T03:04:05.000000006+00:00 stderr F hello  world")
    assert line is not None
    assert (line.stream, line.content, line.partial) == (b"stderr", b"hello  world\n", False)
    assert parse_line(b"not a log line") is None
    assert parse_line(b"2026-01-02T03:04:05Z stdout F") is not None  # an empty line


@settings(max_examples=60)
@given(entries, st.integers(1, 40))
def test_the_filter_shows_the_content_however_the_file_is_cut(
    items: list[tuple[bytes, bool, bytes]], size: int
) -> None:
    data, shown = encode(items), LogFilter(LogOptions())
    got = b"".join(shown.feed(data[at : at + size]) for at in range(0, len(data), size)) + shown.rest()
    assert got == b"".join(text + (b"" if partial else b"\n") for text, partial, _ in items)


@settings(max_examples=60)
@given(entries, st.integers(0, 50))
def test_the_limit_cuts_exactly(items: list[tuple[bytes, bool, bytes]], limit: int) -> None:
    whole = LogFilter(LogOptions())
    cut = LogFilter(LogOptions(limit_bytes=limit))
    assert cut.feed(encode(items)) == whole.feed(encode(items))[:limit]


@settings(max_examples=60, deadline=None)
@given(items=entries, lines=st.integers(0, 35), block=st.integers(1, 64), complete=st.booleans())
def test_the_tail_begins_where_the_last_lines_begin(
    tmp_path_factory: pytest.TempPathFactory,
    items: list[tuple[bytes, bool, bytes]],
    lines: int,
    block: int,
    complete: bool,
) -> None:
    data = encode(items)
    data = data if complete else data.removesuffix(b"\n")
    path = tmp_path_factory.mktemp("tail") / "0.log"
    path.write_bytes(data)
    before, logs.BLOCK = logs.BLOCK, block
    try:
        with path.open("rb") as file:
            start = tail_offset(file.fileno(), lines, len(data))
    finally:
        logs.BLOCK = before
    assert split(data[start:]) == (split(data)[-lines:] if lines else [])


def test_timestamps_stand_at_the_beginning_of_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(encode([(b"one", True, b"stdout"), (b" two", False, b"stdout"), (b"three", False, b"stdout")]))
    text = b"".join(read_log(path, LogOptions(timestamps=True)))
    assert text == f"{STAMP % 0} one two\n{STAMP % 2} three\n".encode()


def test_times_in_utc_are_shown_as_go_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    for written, shown in (("+00:00", "Z"), ("Z", "Z"), ("+02:00", "+02:00")):
        path.write_text(f"2026-01-02T03:04:05.000000006{written} stdout F a\n")
        assert (
            b"".join(read_log(path, LogOptions(timestamps=True)))
            == f"2026-01-02T03:04:05.000000006{shown} a\n".encode()
        )


@pytest.mark.parametrize("tail", [1, None])
def test_what_comes_while_a_log_is_read_is_not_shown(
    tmp_path: Path, tail: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "0.log"
    line = encode([(b"line", False, b"stdout")])
    path.write_bytes(line * 3)
    read = os.pread

    def read_while_it_grows(descriptor: int, count: int, position: int) -> bytes:
        with path.open("ab") as log:
            log.write(line)
        return read(descriptor, count, position)

    monkeypatch.setattr(os, "pread", read_while_it_grows)
    assert b"".join(read_log(path, LogOptions(tail_lines=tail))) == b"line\n" * (tail or 3)


def test_since_leaves_older_lines_out_in_any_time_zone(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(
        b"2026-01-02T03:04:05.000000000Z stdout F old\n"
        b"2026-01-02T05:04:05.000000000+02:00 stdout F old too\n"
        b"2026-01-02T03:04:06.000000000Z stdout F new\n"
        b"2026-01-02T05:04:07.000000000+02:00 stdout F new too\n"
    )
    since = timestamps.parse("2026-01-02T03:04:05.5Z")
    assert b"".join(read_log(path, LogOptions(since=since))) == b"new\nnew too\n"


async def test_what_is_written_just_before_a_rotation_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, aside = tmp_path / "0.log", tmp_path / "0.log.20260102-030405"
    path.write_bytes(encode([(b"first", False, b"stdout")]))
    read = _Growing.read

    def read_then_rotate(self: _Growing) -> Iterator[bytes]:
        yield from read(self)
        if not aside.exists():  # the reader has just come to the end of the file
            with path.open("ab") as file:
                file.write(encode([(b"late", False, b"stdout")]))
            path.rename(aside)
            path.write_bytes(encode([(b"after", False, b"stdout")]))

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(_Growing, "read", read_then_rotate)
    async with asyncio.timeout(10):
        pieces = [piece async for piece in follow_log(path, LogOptions(follow=True, limit_bytes=17), never) if piece]
    assert b"".join(pieces) == b"first\nlate\nafter\n"


async def test_following_ends_after_the_container_has_ended_and_all_is_shown(tmp_path: Path) -> None:
    path, ended = tmp_path / "0.log", asyncio.Event()
    path.write_bytes(encode([(b"first", False, b"stdout")]))
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def wait() -> None:
        await ended.wait()

    async def read() -> None:
        async for piece in follow_log(path, LogOptions(follow=True), wait):
            if piece:
                seen.put_nowait(piece)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(read())
        assert await seen.get() == b"first\n"
        with path.open("ab") as file:
            file.write(encode([(b"second", False, b"stdout")]))
        assert await seen.get() == b"second\n"
        path.rename(tmp_path / "0.log.20260102-030405")
        path.write_bytes(encode([(b"after rotation", False, b"stdout")]))
        assert await seen.get() == b"after rotation\n"
        with path.open("ab") as file:
            file.write(encode([(b"last", False, b"stdout")]))
        ended.set()
        assert await seen.get() == b"last\n"
    assert seen.empty()


async def test_following_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(encode([(b"0123456789", False, b"stdout")] * 3))

    async def never() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        pieces = [piece async for piece in follow_log(path, LogOptions(follow=True, limit_bytes=15), never)]
    assert b"".join(pieces) == b"0123456789\n0123"
