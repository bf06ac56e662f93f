"""exec and attach over SPDY/3.1 as the channel protocol sees them: one SPDY stream for each channel. Pure.

    bytes from the client --feed--> channel messages, and bytes to answer at once
    channel messages of ours --send--> bytes to the client

The client opens the streams and names each in the header ``streamType``; the end of its stdin is message ``255, 0``.
Source: https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from podkeeper.kubelet.server import channels, spdy

_CHANNELS = {
    "stdin": channels.STDIN,
    "stdout": channels.STDOUT,
    "stderr": channels.STDERR,
    "error": channels.ERROR,
    "resize": channels.RESIZE,
}
_DECODER = json.JSONDecoder()
#: The longest size of a terminal that is waited for.
_LONGEST_SIZE = 4096


class SpdyChannels:
    """One client's streams. ``wanted`` are the stream types without which nothing begins."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted, self._session = wanted, spdy.Session()
        self._streams: dict[int, int] = {}
        self._by_channel: dict[int, int] = {}
        self._sizes = ""

    @property
    def complete(self) -> bool:
        """Whether every wanted stream is there."""
        return all(_CHANNELS[each] in self._by_channel for each in self._wanted)

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Channel messages, and what is to be answered. Raises SpdyError."""
        messages: list[bytes] = []
        answers = bytearray()
        for event in self._session.feed(data):
            match event:
                case spdy.Opened(stream, headers):
                    answers += self._open(stream, headers.get("streamtype", ""))
                case spdy.Received(stream, piece, last) if stream in self._streams:
                    messages += self._received(self._streams[stream], piece, last=last)
                case spdy.Pinged(number) if number % 2:
                    answers += self._session.ping(number)
        return messages, bytes(answers)

    def send(self, message: bytes) -> bytes:
        """The bytes of a channel message; none for an empty one. The Status on the error channel is the last there."""
        stream, data = self._by_channel.get(message[0]), message[1:]
        if stream is None or not data:
            return b""
        return self._session.data(stream, data, last=message[0] == channels.ERROR)

    def finish(self) -> bytes:
        """Ends our side of the output streams."""
        ours = (self._by_channel.get(each) for each in (channels.STDOUT, channels.STDERR))
        return b"".join(self._session.data(stream, b"", last=True) for stream in ours if stream is not None)

    def _open(self, stream: int, kind: str) -> bytes:
        channel = _CHANNELS.get(kind)
        if channel is None or channel in self._by_channel:
            return self._session.reset(stream)
        self._streams[stream] = channel
        self._by_channel[channel] = stream
        return self._session.reply(stream)

    def _received(self, channel: int, data: bytes, *, last: bool) -> Iterator[bytes]:
        if channel == channels.RESIZE:
            yield from (channels.output(channel, each) for each in self._take_sizes(data))
        elif channel == channels.STDIN:
            if data:
                yield channels.output(channel, data)
            if last:
                yield bytes((channels.CLOSE, channel))

    def _take_sizes(self, data: bytes) -> Iterator[bytes]:
        """Whole JSON documents of the stream of sizes."""
        self._sizes = (self._sizes + data.decode("latin-1")).lstrip()
        while self._sizes:
            try:
                _, end = _DECODER.raw_decode(self._sizes)
            except RecursionError:
                self._sizes = ""
                return
            except ValueError:
                if len(self._sizes) > _LONGEST_SIZE:
                    self._sizes = ""
                return
            yield self._sizes[:end].encode("latin-1")
            self._sizes = self._sizes[end:].lstrip()
