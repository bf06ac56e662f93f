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

    async def resolve_to_pod(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        """The same among pods of the Service's own namespace. Whoever may write a Service or its slices must not lead
        the API server to other addresses that only it can reach."""
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
        found = await self._endpoints(service, port)
        if not found:
            raise unavailable(f'no endpoints available for service "{name}"')
        return random.choice(found)[:2]  # noqa: S311 - spreads load

    async def resolve_to_pod(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        """See ``ServiceResolver``."""
        service = await self._live.get("", "services", namespace, name)
        if service is None:
            raise not_found("services", "", name)
        found = await self._endpoints(service, port)
        random.shuffle(found)
        for address, number, target in found:
            if await self._is_pod(namespace, address, target):
                return address, number
        raise unavailable(f'no endpoints available for service "{name}"')

    async def _is_pod(self, namespace: str, address: str, target: Tree) -> bool:
        if target.get("kind") != "Pod" or target.get("namespace") != namespace:
            return False
        pod = await self._live.get("", "pods", namespace, target.get("name") or "")
        return any(each.get("ip") == address for each in ((pod or {}).get("status") or {}).get("podIPs") or ())

    async def _endpoints(self, service: Tree, port: str) -> list[tuple[str, int, Tree]]:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        port_name = port_name_of(service, port)
        selection = ListOptions(label_selector=f"kubernetes.io/service-name={name}")
        verbs = self._live.registry.verbs("discovery.k8s.io", "v1", "endpointslices")
        slices = (await verbs.list(namespace, selection)).items if verbs is not None else ()
        return [each for item in slices for each in ready_endpoints(item.tree(), port_name)]


def port_name_of(service: Tree, wanted: str) -> str:
    """The name of the port that is meant. Raises 503 for a number that the Service does not have."""
    if not wanted.isdigit():
        return wanted
    for port in (service.get("spec") or {}).get("ports") or ():
        if str(port.get("port")) == wanted:
            return str(port.get("name") or "")
    raise unavailable(f'no service port {wanted} found for service "{service["metadata"]["name"]}"')


def ready_endpoints(endpoint_slice: Tree, port_name: str) -> list[tuple[str, int, Tree]]:
    """Addresses with the number of the named port and what they are of, of those endpoints that are ready."""
    ports = [each["port"] for each in endpoint_slice.get("ports") or () if (each.get("name") or "") == port_name]
    return [
        (str(address), int(port), each.get("targetRef") or {})
        for each in endpoint_slice.get("endpoints") or ()
        if (each.get("conditions") or {}).get("ready", True)
        for address in each.get("addresses") or ()
        for port in ports
    ]
