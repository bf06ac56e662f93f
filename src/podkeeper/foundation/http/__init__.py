"""HTTP/1.1 over TLS: a server that hands whole requests to one coroutine, raw relays, and one-exchange clients."""

from podkeeper.foundation.http.messages import Answer, BodyWriter, Peer, Request, Response, Streaming, Takeover
from podkeeper.foundation.http.server import HttpServer, Limits

__all__ = [
    "Answer",
    "BodyWriter",
    "HttpServer",
    "Limits",
    "Peer",
    "Request",
    "Response",
    "Streaming",
    "Takeover",
]
