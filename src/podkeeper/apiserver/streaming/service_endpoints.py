"""The way to a Service without a service proxy: any ready endpoint of its endpoint slices.

The API server's host need not be part of the pods' service network, so nothing here uses a cluster IP. Everything in
the API server that has to reach a Service asks a ``ServiceResolver``: proxies, aggregated API servers, webhooks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Protocol

from podkeeper.api.errors import not_found, unavailable
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import ListOptions

Tree = Mapping[str, Any]


class ServiceResolver(Protocol):
    """Finds an address that answers for a Service."""

    async def resolve(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        """The address and port of a ready endpoint; another one each time. ``port`` is the number or the name of the
        Service's port, empty for the port without a name. Raises ApiError: 404 for no such Service, 503 in upstream's
        words when nothing answers for it."""
        ...


class EndpointResolver:
    """Looks at the live Service and its slices each time."""

    def __init__(self, live: LiveObjects) -> None:
        self._live = live

    async def resolve(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        """See ``ServiceResolver``."""
        service = await self._live.get("", "services", namespace, name)
        if service is None:
            raise not_found("services", "", name)
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName" and port.isdigit():
            return str(spec.get("externalName") or ""), int(port)
        port_name = port_name_of(service, port)
        selection = ListOptions(label_selector=f"kubernetes.io/service-name={name}")
        slices = await self._live.verbs("discovery.k8s.io", "endpointslices").list(namespace, selection)
        found = [pair for item in slices.items for pair in ready_endpoints(item.tree(), port_name)]
        if not found:
            raise unavailable(f'no endpoints available for service "{name}"')
        return random.choice(found)  # noqa: S311 - spreads load


def port_name_of(service: Tree, wanted: str) -> str:
    """The name of the port that is meant. Raises 503 for a number that the Service does not have."""
    if not wanted.isdigit():
        return wanted
    for port in (service.get("spec") or {}).get("ports") or ():
        if str(port.get("port")) == wanted:
            return str(port.get("name") or "")
    raise unavailable(f'no service port {wanted} found for service "{service["metadata"]["name"]}"')


def ready_endpoints(endpoint_slice: Tree, port_name: str) -> list[tuple[str, int]]:
    """Addresses with the number of the named port, of those endpoints that are ready."""
    ports = [each["port"] for each in endpoint_slice.get("ports") or () if (each.get("name") or "") == port_name]
    return [
        (str(address), int(port))
        for each in endpoint_slice.get("endpoints") or ()
        if (each.get("conditions") or {}).get("ready", True)
        for address in each.get("addresses") or ()
        for port in ports
    ]
