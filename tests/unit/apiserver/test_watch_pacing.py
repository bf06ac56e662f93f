"""Watch streams and their turns: who writes when, and what goes out in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from podkeeper.apiserver.pacing import Pacer
from podkeeper.apiserver.watching import WAITING_EVENTS, Framer, Sent, WatchStream
from podkeeper.foundation.http.messages import frame_chunk


class Event:
    """As much of a WatchEvent as streams look at."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame


class Writer:
    """A BodyWriter that keeps what it is given."""

    chunked = True

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.congested = self.aborted = False
        self.drained_call: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    write_framed = write

    def on_drained(self, call: Callable[[], None] | None) -> None:
        self.drained_call = call

    def abort(self) -> None:
        self.aborted = True


class Scene:
    """Some streams of one framer, each running, with ``turn`` writes to a turn of the loop."""

    def __init__(self, count: int, turn: int) -> None:
        self.made = 0
        self.pacer, self.sent = Pacer(turn), Sent()
        framer = Framer(self._form)
        self.streams = [self._stream(framer) for _ in range(count)]
        self.writers = [Writer() for _ in self.streams]

    def _form(self, event: Any) -> bytes:
        self.made += 1
        return bytes(event.frame)

    def _stream(self, framer: Framer) -> WatchStream:
        return WatchStream(framer, 100.0, set(), self.pacer, self.sent)

    async def __aenter__(self) -> Scene:
        pairs = zip(self.streams, self.writers, strict=True)
        self._running = [asyncio.create_task(stream.run(writer)) for stream, writer in pairs]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for stream in self.streams:
            stream.end()
        await asyncio.gather(*self._running)

    def send(self, *frames: bytes) -> None:
        batch: Any = [Event(frame) for frame in frames]
        for stream in self.streams:
            stream.take(batch)

    @property
    def written(self) -> list[list[bytes]]:
        return [writer.written for writer in self.writers]


async def test_few_streams_are_written_to_at_once() -> None:
    async with Scene(3, turn=4) as scene:
        scene.send(b"one\n")
        assert scene.written == [[frame_chunk(b"one\n")]] * 3
        assert scene.made == 1


async def test_many_streams_take_turns_and_requests_come_in_between() -> None:
    async with Scene(6, turn=2) as scene:
        scene.send(b"one\n")
        turns = []
        while len(turns) < 4:
            turns.append(sum(map(len, scene.written)))
            await asyncio.sleep(0)
        assert turns == [2, 4, 6, 6]
        assert scene.made == 1


async def test_what_comes_meanwhile_goes_out_in_one_piece() -> None:
    async with Scene(4, turn=2) as scene:
        scene.send(b"one\n")
        scene.send(b"two\n", b"three\n")
        for _ in range(4):
            await asyncio.sleep(0)
        one, rest, whole = map(frame_chunk, (b"one\n", b"two\nthree\n", b"one\ntwo\nthree\n"))
        assert scene.written == [[one, rest], [one, rest], [whole], [whole]]
        assert scene.made == 1 + 2 + 3
        assert scene.sent.events == 12


async def test_a_stream_that_ends_says_first_what_waits() -> None:
    async with Scene(3, turn=1) as scene:
        scene.send(b"one\n")
        scene.streams[2].end()
        await asyncio.sleep(0)
        assert scene.written[2] == [frame_chunk(b"one\n")]


async def test_a_slow_client_is_served_when_it_has_drained_and_cut_off_when_it_never_does() -> None:
    async with Scene(2, turn=8) as scene:
        slow = scene.writers[1]
        slow.congested = True
        scene.send(b"one\n")
        scene.send(b"two\n")
        await asyncio.sleep(0)
        assert scene.written == [[frame_chunk(b"one\n"), frame_chunk(b"two\n")], []]
        slow.congested = False
        assert slow.drained_call is not None
        slow.drained_call()
        assert slow.written == [frame_chunk(b"one\ntwo\n")]
        slow.congested = True
        scene.send(*[b"more\n"] * (WAITING_EVENTS + 1))
        assert (slow.aborted, scene.sent.cut_off) == (True, 1)
        assert scene.streams[0].watch is None
        assert not scene.writers[0].aborted


async def test_a_stream_that_fails_ends_alone() -> None:
    async with Scene(4, turn=1) as scene:

        def fail(_: Any) -> bytes:
            raise ValueError("no such column")

        scene.streams[1]._frames = fail
        scene.send(b"one\n")
        for _ in range(4):
            await asyncio.sleep(0)
        assert [len(each) for each in scene.written] == [1, 0, 1, 1]
        assert scene.streams[1]._ended.done()


async def test_a_long_state_goes_out_in_pieces() -> None:
    scene = Scene(1, turn=8)
    scene.send(*[b"x\n"] * 150)
    async with scene:
        assert [piece.count(b"x\n") for piece in scene.written[0]] == [64, 64, 22]
