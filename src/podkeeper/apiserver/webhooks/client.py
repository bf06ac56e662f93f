"""Calls to webhooks: one JSON document there, one back, over connections that are kept.

Connections are kept per destination, authority and name; of destinations that are not used any more the oldest go.
A connection that the webhook closed while it was idle is no failure: the call is made again over a new one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from podkeeper.apiserver.streaming.service_endpoints import ServiceResolver
from podkeeper.apiserver.webhooks.destinations import Destination, NoDestination, destination, url_of
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.connection import HttpConnection
from podkeeper.client.pool import ConnectionPool
from podkeeper.foundation.http.client import request_message

Tree = Mapping[str, Any]

#: Destinations whose connections are kept.
_KEPT = 64
_LARGEST_SHOWN = 2048
_PoolKey = tuple[str, int, str, str]


class CallFailed(Exception):
    """No answer that can be used, in upstream's words. ``code`` is that of the answer, 503 where there is none."""

    def __init__(self, text: str, code: int = 503) -> None:
        super().__init__(text)
        self.code = code


class WebhookClient:
    """Posts documents to where a clientConfig says."""

    def __init__(self, services: ServiceResolver) -> None:
        self._services = services
        self._pools: OrderedDict[_PoolKey, ConnectionPool] = OrderedDict()

    async def post(self, client: Tree, document: Tree, seconds: float) -> Any:
        """The decoded answer to a document. Raises CallFailed, after ``seconds`` at the latest."""
        shown = f'Post "{url_of(client)}?timeout={seconds:g}s"'
        try:
            async with asyncio.timeout(seconds):
                where = await destination(client, self._services)
                status, body = await self._exchange(where, client.get("caBundle") or "", document, seconds)
        except TimeoutError:
            raise CallFailed(f"{shown}: context deadline exceeded") from None
        except NoDestination as error:
            raise CallFailed(f"{shown}: {error}") from error
        except ConnectionFailed as error:
            raise CallFailed(f"{shown}: {why(error, where)}") from error
        if status != HTTPStatus.OK:
            raise CallFailed(refusal(status, body), status)
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CallFailed(f"couldn't get version/kind; json parse error: {error}") from error

    def close(self) -> None:
        """Ends all connections."""
        while self._pools:
            self._pools.popitem()[1].close()

    async def _exchange(self, where: Destination, authority: str, document: Tree, seconds: float) -> tuple[int, bytes]:
        pool = self._pool(where, authority)
        body = msgspec.json.encode(document)
        path = f"{where.path}{'&' if '?' in where.path else '?'}timeout={seconds:g}s"
        headers = [
            (b"Host", where.server_name.encode()),
            (b"Content-Type", b"application/json"),
            (b"Accept", b"application/json, */*"),
            (b"User-Agent", b"kube-apiserver-admission"),
        ]
        message = request_message("POST", path, headers, body)
        connection = await pool.acquire()
        used = bool(connection.idle_since)
        try:
            return await _ask(pool, connection, message)
        except ConnectionFailed:
            if not used or connection.answered:
                raise
        return await _ask(pool, await pool.acquire(fresh=True), message)

    def _pool(self, where: Destination, authority: str) -> ConnectionPool:
        key = (where.host, where.port, where.server_name, authority)
        found = self._pools.get(key)
        if found is None:
            scheme, host = "https" if where.secure else "http", f"[{where.host}]" if ":" in where.host else where.host
            tls = trust(authority) if where.secure else None
            found = self._pools[key] = ConnectionPool(f"{scheme}://{host}:{where.port}", tls, where.server_name)
            if len(self._pools) > _KEPT:
                self._pools.popitem(last=False)[1].close()
        self._pools.move_to_end(key)
        return found


async def _ask(pool: ConnectionPool, connection: HttpConnection, message: bytes) -> tuple[int, bytes]:
    try:
        body = await connection.exchange(message)
        return connection.status, body
    except BaseException:
        connection.close()
        raise
    finally:
        pool.release(connection)


def trust(bundle: str) -> ssl.SSLContext:
    """A context that trusts the authorities of a caBundle (base64 of PEM); without one, those of the system."""
    try:
        data = base64.b64decode(bundle).decode() if bundle else None
        context = ssl.create_default_context(cadata=data)
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
        raise CallFailed("unable to load root certificates: unable to parse bytes as PEM block") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


#: OpenSSL's codes of verification in Go's words.
_UNVERIFIED = {
    10: "certificate has expired or is not yet valid",
    9: "certificate has expired or is not yet valid",
    18: "certificate signed by unknown authority",
    19: "certificate signed by unknown authority",
    20: "certificate signed by unknown authority",
    21: "certificate signed by unknown authority",
}


def why(error: ConnectionFailed, where: Destination) -> str:
    """The reason of a failed connection as Go words it."""
    cause = error.__cause__
    address = f"[{where.host}]:{where.port}" if ":" in where.host else f"{where.host}:{where.port}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in (62, 64):
            return f"tls: failed to verify certificate: x509: certificate is not valid for {where.server_name}"
        text = _UNVERIFIED.get(cause.verify_code, cause.verify_message)
        return f"tls: failed to verify certificate: x509: {text}"
    if isinstance(cause, ssl.SSLError):
        return f"tls: {cause.reason or cause}"
    if isinstance(cause, ConnectionRefusedError):
        return f"dial tcp {address}: connect: connection refused"
    if isinstance(cause, OSError):
        return f"dial tcp {address}: {cause.strerror or cause}"
    return "EOF"


def refusal(status: int, body: bytes) -> str:
    """An answer that is no success in client-go's words."""
    fixed = {
        400: "the server rejected our request for an unknown reason",
        401: "the server has asked for the client to provide credentials",
        403: f"{_quoted(body)}" if body else "forbidden",
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
        429: "the server has received too many requests and has asked us to try again later",
        503: "the server is currently unable to handle the request",
        504: "the server was unable to return a response in the time allotted, but may still be processing the request",
    }
    if status in fixed:
        return fixed[status]
    if status >= 500:
        return f'an error on the server ("{_quoted(body) or "unknown"}") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"


def _quoted(body: bytes) -> str:
    return body[:_LARGEST_SHOWN].decode("utf-8", "replace").strip()
