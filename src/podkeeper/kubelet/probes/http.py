"""HTTP requests of probes and lifecycle hooks: to the pod, from the node, certificates unchecked.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#http-probes
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, field

from podkeeper.api.core import v1

if TYPE_CHECKING:
    import aiohttp

MAX_REDIRECTS = 10
MAX_BODY = 10 * 1024


class HTTPFailure(Exception):
    """No answer, or one that counts as failure; the text is upstream's."""


class HTTPTarget(Struct, frozen=True):
    """Where to and with which headers."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)


def http_target(action: v1.HTTPGetAction, container: v1.Container, pod_ip: str, agent: str) -> HTTPTarget:
    """The URL and headers of an httpGet action. Raises HTTPFailure for an unknown port name."""
    scheme = (action.scheme or "HTTP").lower()
    host = action.host or pod_ip
    bracketed = f"[{host}]" if ":" in host else host
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    headers = {"User-Agent": agent, "Accept": "*/*", "Connection": "close"}
    headers |= {header.name: header.value for header in action.http_headers}
    return HTTPTarget(f"{scheme}://{bracketed}:{resolve_port(action.port, container)}{path}", headers)


def resolve_port(port: int | str, container: v1.Container) -> int:
    """A port by number or by the name that the container gave it."""
    if isinstance(port, int):
        number = port
    elif port.isdecimal():
        number = int(port)
    else:
        named = {each.name: each.container_port for each in container.ports}
        if port not in named:
            raise HTTPFailure(f"couldn't find port: {port}")
        number = named[port]
    if not 0 < number < 65536:
        raise HTTPFailure(f"invalid port number: {number}")
    return number


async def http_get(target: HTTPTarget, timeout: float) -> tuple[int, str]:
    """Status and the beginning of the body; redirects within the host are followed. Raises HTTPFailure."""
    import aiohttp

    connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=1)
    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with aiohttp.ClientSession(
            connector=connector, timeout=limits, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            return await _follow(session, target)
    except TimeoutError as error:
        text = f'Get "{target.url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        raise HTTPFailure(text) from error
    except aiohttp.ClientConnectorError as error:
        address = urlsplit(target.url).netloc
        raise HTTPFailure(f'Get "{target.url}": dial tcp {address}: connect: {cause_of(error.os_error)}') from error
    except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
        raise HTTPFailure(f'Get "{target.url}": {error or type(error).__name__}') from error


def cause_of(error: OSError) -> str:
    """The kernel's word for why a connection failed, as Go prints it."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


async def _follow(session: aiohttp.ClientSession, target: HTTPTarget) -> tuple[int, str]:
    from yarl import URL

    url = URL(target.url, encoded=True)
    for _ in range(MAX_REDIRECTS):
        async with session.get(url, headers=target.headers, allow_redirects=False) as answer:
            location = answer.headers.get("Location", "")
            following = url.join(URL(location)) if location and answer.status in (301, 302, 303, 307, 308) else None
            if following is None or following.host != url.host:
                body = await answer.content.read(MAX_BODY)
                return answer.status, body.decode("utf-8", "replace")
            url = following
    raise HTTPFailure(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')
