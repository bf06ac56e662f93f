"""Passes a request on to another server: the answer streams back, an upgraded connection is relayed byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.streaming.kubelets import Location
from podkeeper.foundation.http import Answer, BodyWriter, Streaming, Takeover
from podkeeper.foundation.http.client import Exchange, ExchangeFailed, request_message
from podkeeper.foundation.http.messages import status_line
from podkeeper.foundation.http.relay import relay

#: Headers that belong to one connection, and those that we set ourselves.
_OWN = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding content-length host authorization "
    b"expect".split()
)
_ERROR_LIMIT = 50_000


async def open_exchange(call: Call, where: Location, target: str) -> Exchange:
    """Sends the client's request to ``target`` at ``where``. Raises 500 when nobody answers there."""
    try:
        return await send(call, where, target, [(b"Host", where.authority.encode())])
    except ExchangeFailed as error:
        raise unreachable(call, where, target, error) from error


async def send(call: Call, where: Location, target: str, own: Sequence[tuple[bytes, bytes]]) -> Exchange:
    """Sends the client's request with ``own`` headers before its own, which these replace. Raises ExchangeFailed."""
    request, replaced = call.request, {name.lower() for name, _ in own}
    upgrade = request.upgrade
    left_out = _OWN | replaced | (frozenset() if upgrade else frozenset({b"upgrade"}))
    headers = [*own, *(pair for pair in request.headers.items() if pair[0] not in left_out)]
    headers.append((b"X-Forwarded-For", request.peer.address.encode()))
    headers.append((b"Connection", b"Upgrade" if upgrade else b"close"))
    message = request_message(request.method, target, headers, request.body)
    return await Exchange.send((where.host, where.port), where.tls, message, server_name=where.server_name)


def unreachable(call: Call, where: Location, target: str, error: Exception) -> ApiError:
    """500 as upstream words it: the request that failed, and why."""
    scheme = "https" if where.tls else "http"
    method = call.request.method.capitalize()
    return ApiError(500, "", f'{method} "{scheme}://{where.authority}{target}": {error}')


async def pass_on(call: Call, where: Location, target: str) -> Answer:
    """The other server's answer, whatever it is."""
    return stream_back(await open_exchange(call, where, target))


def stream_back(exchange: Exchange) -> Answer:
    """An answer as it is, or the bare connection after a 101."""
    if exchange.status == 101:
        return switch(exchange)
    return Streaming(exchange.status, head_of(exchange.headers), BodySender(exchange), abandon=exchange.close)


def head_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Header lines that may be passed on; the date is our own."""
    kept = [pair for pair in headers if pair[0] not in _OWN and pair[0] not in (b"upgrade", b"date")]
    return b"".join(b"%b: %b\r\n" % pair for pair in kept)


class BodySender:
    """Sends an exchange's body as it comes, no faster than the client reads."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __call__(self, writer: BodyWriter) -> None:
        """Runs until the body is complete; breaks the client's connection when the other side breaks off."""
        try:
            async for piece in self._exchange.pieces():
                writer.write(piece)
                if writer.congested:
                    await writer.drained()
        except ExchangeFailed:
            writer.abort()
        finally:
            self._exchange.close()


def switch(exchange: Exchange) -> Takeover:
    """Hands the 101 to the client and then only bytes."""
    lines = [status_line(101)] + [b"%b: %b\r\n" % pair for pair in exchange.headers]

    async def run(client: asyncio.Transport, first: bytes) -> None:
        server, waiting = exchange.take_over()
        await relay(client, server, b"".join(lines) + b"\r\n" + waiting, first)

    return Takeover(run, abandon=exchange.close)


async def error_text(exchange: Exchange) -> str:
    """The body of a refusal, cut to a sensible length."""
    parts, size = [], 0
    try:
        async for piece in exchange.pieces():
            parts.append(piece)
            size += len(piece)
            if size > _ERROR_LIMIT:
                break
    except ExchangeFailed:
        pass  # what came is enough to tell the client
    finally:
        exchange.close()
    return b"".join(parts)[:_ERROR_LIMIT].decode("utf-8", "replace").strip()


async def refuse_unsuccessful(exchange: Exchange, resource: str, name: str) -> None:
    """Raises the ApiError for an answer that is none of 200 to 206, in upstream's words."""
    status = exchange.status
    if 200 <= status <= 206:
        return
    text = await error_text(exchange)
    if status == 400:
        raise ApiError(400, "BadRequest", text)
    if status == 500:
        raise ApiError(500, "InternalError", f"Internal error occurred: {text}")
    raise _generic(status, text, resource, name)


_GENERIC = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", "the server does not allow access to the requested resource"),
    404: ("NotFound", "the server could not find the requested resource"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}


def _generic(status: int, text: str, resource: str, name: str) -> ApiError:
    reason, words = _GENERIC.get(status, ("Unknown", "unknown"))
    if status in (401, 403) or status not in _GENERIC:
        words = text or words
    return ApiError(status, reason, f"{words} ( {resource} {name})", kind=resource, name=name)
