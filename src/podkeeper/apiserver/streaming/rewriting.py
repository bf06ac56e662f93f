"""Answers of proxied web servers: redirects and links in pages lead through the proxy, CORS headers stay behind."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from msgspec import Struct

from podkeeper.apiserver.streaming.html_links import LinkRewriter, through
from podkeeper.foundation.http import BodyWriter, Streaming
from podkeeper.foundation.http.client import Exchange, ExchangeFailed

#: Window bits of the codings in which a page may come.
_CODINGS = {b"gzip": 31, b"deflate": -15}


class Place(Struct, frozen=True):
    """Where the client sees the server: the path of the proxy, and the names by which the server may call itself."""

    prefix: str
    hosts: frozenset[str]


def changed_headers(exchange: Exchange, place: Place) -> None:
    """Rewrites Location and drops Access-Control-*, in place."""
    kept = []
    for name, value in exchange.headers:
        if name.startswith(b"access-control-"):
            continue
        if name == b"location":
            value = through(value.decode("latin-1"), place.prefix, place.hosts).encode("latin-1")
        kept.append((name, value))
    exchange.headers = kept


def is_page(exchange: Exchange) -> bool:
    """Whether the body is HTML in a coding that we can read."""
    names = dict(exchange.headers)
    coding = names.get(b"content-encoding", b"").lower()
    kind = names.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind == b"text/html" and (not coding or coding in _CODINGS)


def page(exchange: Exchange, head: bytes, place: Place) -> Streaming:
    """The answer with its links changed; its length is not known beforehand."""
    coding = dict(exchange.headers).get(b"content-encoding", b"").lower()
    return Streaming(exchange.status, head, PageSender(exchange, _rewriter(coding, place)), abandon=exchange.close)


#: From a piece of the body, and whether it is the last, to what is sent for it.
Change = Callable[[bytes, bool], bytes]


def _rewriter(coding: bytes, place: Place) -> Change:
    links = LinkRewriter(place.prefix, place.hosts)
    if not coding:
        return lambda data, last: links.feed(data, last=last)
    unpack = zlib.decompressobj(_CODINGS[coding])
    pack = zlib.compressobj(wbits=_CODINGS[coding])

    def change(data: bytes, last: bool) -> bytes:
        plain = unpack.decompress(data) + (unpack.flush() if last else b"")
        packed = pack.compress(links.feed(plain, last=last))
        return packed + pack.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

    return change


class PageSender:
    """Sends a page as it comes."""

    def __init__(self, exchange: Exchange, change: Change) -> None:
        self._exchange, self._change = exchange, change

    async def __call__(self, writer: BodyWriter) -> None:
        """Until the page is complete; breaks the client's connection when the server breaks off."""
        try:
            async for piece in self._exchange.pieces():
                writer.write(self._change(piece, False))
                if writer.congested:
                    await writer.drained()
            writer.write(self._change(b"", True))
        except (ExchangeFailed, zlib.error):
            writer.abort()
        finally:
            self._exchange.close()
