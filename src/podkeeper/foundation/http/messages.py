"""What passes between the HTTP server and its handler: a request with its whole body in, one of three answers out.

``Response`` is complete, ``Streaming`` writes its body while it runs, ``Takeover`` gets the bare transport (an
upgrade).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from podkeeper.foundation.late_verification import LateVerification

Headers = tuple[tuple[bytes, bytes], ...]

#: As clients know them; Python 3.13 renamed some.
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {phrase}\r\n".encode() for code, phrase in _PHRASES.items()}


def status_line(status: int) -> bytes:
    """``HTTP/1.1 200 OK`` with its line end."""
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status\r\n".encode()


class Peer:
    """The other end of a connection. ``memo`` belongs to the handler: what it concluded from the certificate.

    ``verification`` judges certificates of handshakes that went on whatever they were; without it there are none.
    """

    __slots__ = ("address", "certificate", "distrusted", "memo")

    def __init__(self, transport: asyncio.BaseTransport | None, verification: LateVerification | None = None) -> None:
        name = transport.get_extra_info("peername") if transport else None
        self.address = str(name[0]) if name else ""
        given = (transport.get_extra_info("peercert") if transport else None) or None
        #: The client sent a certificate that is not to be believed.
        self.distrusted = bool(
            given and transport and verification and not verification.trusts(transport.get_extra_info("ssl_object"))
        )
        #: As ``ssl.SSLSocket.getpeercert()`` gives it; None when the client sent none that is to be believed.
        self.certificate: Mapping[str, Any] | None = None if self.distrusted else given
        self.memo: Any = None


class Request:
    """One request. Header names are lower-case; repeated headers are joined with a comma."""

    __slots__ = ("body", "headers", "keep_alive", "method", "oversized", "peer", "target", "upgrade", "version_1_0")

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: dict[bytes, bytes] | None = None,
        body: bytes = b"",
        peer: Peer | None = None,
    ) -> None:
        self.method, self.target, self.body = method, target, body
        self.headers: dict[bytes, bytes] = headers if headers is not None else {}
        self.peer = peer or Peer(None)
        self.keep_alive = True
        self.version_1_0 = False
        #: The client asked for another protocol on this connection.
        self.upgrade = False
        #: The body was longer than the limit and has been thrown away.
        self.oversized = False

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target.decode('latin-1')}>"

    def header(self, name: bytes) -> str:
        """The header's text, empty if absent."""
        return self.headers.get(name, b"").decode("latin-1")


class Response(Struct):
    """A complete answer. ``head`` is prepared header lines, each with its line end; ``headers`` are added to them."""

    status: int
    head: bytes
    body: bytes = b""
    headers: Headers = ()
    close: bool = False


class BodyWriter(Protocol):
    """Writes the body of a streaming answer. The running coroutine is cancelled when the client goes away."""

    def write(self, data: bytes) -> None:
        """Sends ``data`` now or as soon as the peer takes it."""
        ...

    @property
    def chunked(self) -> bool:
        """The answer uses the chunked transfer coding (everything but HTTP/1.0)."""
        ...

    def write_framed(self, chunks: bytes) -> None:
        """Sends what ``frame_chunk`` has made, when ``chunked``: built once, it can go to any number of writers."""
        ...

    @property
    def congested(self) -> bool:
        """The peer reads more slowly than we write; ``drained`` waits until that is over."""
        ...

    async def drained(self) -> None: ...

    def on_drained(self, call: Callable[[], None] | None) -> None:
        """Has ``call`` called each time congestion ends."""
        ...

    def abort(self) -> None:
        """Breaks the connection without a word: the peer is too slow or the answer cannot be finished."""
        ...


class Streaming(Struct):
    """An answer whose body comes while ``run`` runs; it ends in good order when ``run`` returns.

    ``abandon`` is called instead of ``run`` when there is nobody left to write to."""

    status: int
    head: bytes
    run: Callable[[BodyWriter], Awaitable[None]]
    headers: Headers = ()
    abandon: Callable[[], None] | None = None


class Takeover(Struct):
    """The connection leaves HTTP. ``run`` gets the transport, which is its own to close, and the bytes already read.

    ``abandon`` is called instead when the client has gone."""

    run: Callable[[asyncio.Transport, bytes], Awaitable[None]]
    abandon: Callable[[], None] | None = None


Answer = Response | Streaming | Takeover
Handler = Callable[[Request], Awaitable[Answer]]


def frame_chunk(data: bytes) -> bytes:
    """``data`` as one chunk of the chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
