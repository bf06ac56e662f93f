"""Where a webhook is: a URL, or a Service, which is reached through its endpoint slices.

Addresses of Services mean nothing where the API server runs: there need not be a service proxy on its host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.streaming.service_endpoints import ServiceResolver

Tree = Mapping[str, Any]


class NoDestination(Exception):
    """There is nowhere to send a request to, with upstream's words for why."""


class Destination(Struct, frozen=True):
    """An address and port to connect to, the name that the certificate must have, and the path."""

    host: str
    port: int
    server_name: str
    path: str
    secure: bool = True


def url_of(client: Tree) -> str:
    """The URL of a clientConfig as messages show it; that of a Service has the Service's name."""
    service = client.get("service")
    if service is None:
        return str(client.get("url") or "")
    port, path = service.get("port") or 443, (service.get("path") or "").lstrip("/")
    return f"https://{service['name']}.{service['namespace']}.svc:{port}/{path}"


async def destination(client: Tree, services: ServiceResolver) -> Destination:
    """Where a clientConfig leads now: of a Service, any ready endpoint. Raises NoDestination."""
    parts = urlsplit(url_of(client))
    service = client.get("service")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if service is None:
        secure = parts.scheme != "http"
        return Destination(
            parts.hostname or "", parts.port or (443 if secure else 80), parts.hostname or "", path, secure
        )
    try:
        host, port = await services.resolve(service["namespace"], service["name"], str(service.get("port") or 443))
    except ApiError as error:
        missing = error.code == 404
        raise NoDestination(f'service "{service["name"]}" not found' if missing else str(error)) from error
    return Destination(host, port, parts.hostname or "", path)
