"""Where a webhook is: a URL, or a Service, which is reached through its endpoint slices.

Addresses of Services mean nothing where the API server runs: there need not be a service proxy on its host.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import ListOptions

Tree = Mapping[str, Any]


class NoDestination(Exception):
    """There is nowhere to send a request to, with upstream's words for why."""


@dataclass(frozen=True, slots=True)
class Destination:
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


async def destination(client: Tree, live: LiveObjects) -> Destination:
    """Where a clientConfig leads now: of a Service, any ready endpoint. Raises NoDestination."""
    parts = urlsplit(url_of(client))
    service = client.get("service")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if service is None:
        secure = parts.scheme != "http"
        return Destination(
            parts.hostname or "", parts.port or (443 if secure else 80), parts.hostname or "", path, secure
        )
    host, port = await endpoint(service["namespace"], service["name"], service.get("port") or 443, live)
    return Destination(host, port, parts.hostname or "", path)


async def endpoint(namespace: str, name: str, port: int, live: LiveObjects) -> tuple[str, int]:
    """The address and port of a ready endpoint of a Service's port. Raises NoDestination."""
    service = await live.get("", "services", namespace, name)
    if service is None:
        raise NoDestination(f'service "{name}" not found')
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or ""), port
    wanted = next((each for each in spec.get("ports") or () if each.get("port") == port), None)
    if wanted is None:
        raise NoDestination(f'no service port {port} found for service "{name}"')
    selection = ListOptions(label_selector=f"kubernetes.io/service-name={name}")
    slices = await live.verbs("discovery.k8s.io", "endpointslices").list(namespace, selection)
    found = [pair for item in slices.items for pair in _ready(item.tree(), wanted.get("name") or "")]
    if not found:
        raise NoDestination(f'no endpoints available for service "{name}"')
    return random.choice(found)  # noqa: S311 - spreads load


def _ready(endpoint_slice: Tree, port_name: str) -> list[tuple[str, int]]:
    ports = [each["port"] for each in endpoint_slice.get("ports") or () if (each.get("name") or "") == port_name]
    return [
        (address, port)
        for each in endpoint_slice.get("endpoints") or ()
        if (each.get("conditions") or {}).get("ready", True)
        for address in each.get("addresses") or ()
        for port in ports
    ]
