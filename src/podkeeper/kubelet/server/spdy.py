"""SPDY/3.1 as kubectl port-forward speaks it through a WebSocket: frames in, events out, and back. Pure.

Streams, data, resets and pings; no flow control and no priorities, which that client does not use either. Headers are
compressed with one zlib context per direction. https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

SYN_STREAM, SYN_REPLY, RST_STREAM, PING = 1, 2, 3, 6
FIN = 0x1
CANCEL = 5
MAX_FRAME, MAX_HEADERS = 1 << 20, 1 << 16

_HEAD = struct.Struct(">II")  # control bit, version and type or the stream's id; flags and length
_VERSION, _STREAM = 3, 0x7FFFFFFF

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode("latin-1")


DICTIONARY = b"".join(_counted(word.replace("_", " ")) for word in _WORDS.split()) + _REST.encode()


Headers = Mapping[str, str]


class SpdyError(Exception):
    """The peer sent what is not SPDY, or more of it than anybody needs."""


class Opened(Struct, frozen=True):
    """The peer opened a stream; ``headers`` have lower-case names."""

    stream: int
    headers: Headers = field(default_factory=dict)


class Received(Struct, frozen=True):
    """Bytes of a stream; ``last`` when the peer sends no more."""

    stream: int
    data: bytes
    last: bool = False


class Reset(Struct, frozen=True):
    """The peer gave a stream up."""

    stream: int


class Pinged(Struct, frozen=True):
    """The peer asks whether we are there; the answer is the same ping."""

    number: int


Event = Opened | Received | Reset | Pinged


class Session:
    """One connection's state: what is left of a frame that is not complete, and the header compression."""

    def __init__(self) -> None:
        self._rest = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events of complete frames. Raises SpdyError."""
        buffer, start = self._rest + data, 0
        while len(buffer) - start >= _HEAD.size:
            first, second = _HEAD.unpack_from(buffer, start)
            flags, length = second >> 24, second & 0xFFFFFF
            if length > MAX_FRAME:
                raise SpdyError(f"a frame of {length} bytes is too long")
            end = start + _HEAD.size + length
            if len(buffer) < end:
                break
            payload, start = buffer[start + _HEAD.size : end], end
            if first >> 31:
                yield from self._control(first, flags, payload)
            else:
                yield Received(first, payload, bool(flags & FIN))
        self._rest = buffer[start:]

    def _control(self, first: int, flags: int, payload: bytes) -> Iterator[Event]:
        if first >> 16 & 0x7FFF != _VERSION:
            raise SpdyError(f"version {first >> 16 & 0x7FFF} of SPDY is not spoken here")
        try:
            kind, number = first & 0xFFFF, struct.unpack_from(">I", payload)[0]
            if kind == SYN_STREAM:
                yield Opened(number & _STREAM, self._headers(payload[10:]))
                if flags & FIN:
                    yield Received(number & _STREAM, b"", last=True)
            elif kind == RST_STREAM:
                yield Reset(number & _STREAM)
            elif kind == PING:
                yield Pinged(number)
        except (struct.error, zlib.error) as error:
            raise SpdyError(f"a frame makes no sense: {error}") from error

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block, MAX_HEADERS)
        if self._inflate.unconsumed_tail:
            raise SpdyError(f"the headers of a stream are longer than {MAX_HEADERS} bytes")
        count, at = struct.unpack_from(">I", plain)[0], 4
        words: list[str] = []
        for _ in range(2 * count):
            size = struct.unpack_from(">I", plain, at)[0]
            words.append(plain[at + 4 : at + 4 + size].decode("latin-1"))
            at += 4 + size
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def reply(self, stream: int) -> bytes:
        """Accepts a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control_frame(SYN_REPLY, struct.pack(">I", stream) + block)

    def data(self, stream: int, data: bytes, *, last: bool = False) -> bytes:
        """Bytes of a stream; ``last`` ends our side of it."""
        return _HEAD.pack(stream, (FIN if last else 0) << 24 | len(data)) + data

    def reset(self, stream: int) -> bytes:
        """Gives a stream up."""
        return _control_frame(RST_STREAM, struct.pack(">II", stream, CANCEL))

    def ping(self, number: int) -> bytes:
        """Answers a ping."""
        return _control_frame(PING, struct.pack(">I", number))


def _control_frame(kind: int, payload: bytes) -> bytes:
    return _HEAD.pack(1 << 31 | _VERSION << 16 | kind, len(payload)) + payload
