"""Keeps one IPAddress object for each cluster IP of a service, as upstream's allocator leaves them.

The addresses themselves are given out by the registry; these objects show who has which.
Source: https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import DeleteOptions, RequestContext, WatchEvent

log = logging.getLogger(__name__)

Tree = dict[str, Any]

GROUP, RESOURCE = "networking.k8s.io", "ipaddresses"
MANAGED_BY, MANAGER = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
FAMILY = "ipaddress.kubernetes.io/ip-family"


class ServiceAddresses:
    """Writes and removes the objects while ``run`` runs. Looks only at addresses of which something has changed."""

    def __init__(self, live: LiveObjects, context: RequestContext) -> None:
        self._live, self._context = live, context
        self._of_service: dict[tuple[str, str], tuple[str, ...]] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; at once over where the objects are not served."""
        if self._live.registry.verbs(GROUP, "v1", RESOURCE) is None:
            return
        await self._live.follow("", "services", self._take_services)
        await self._live.follow(GROUP, RESOURCE, self._take_addresses)
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._dirty:
                await self._keep(self._dirty.pop())

    async def _keep(self, address: str) -> None:
        present = await self._live.get(GROUP, RESOURCE, "", address)
        owner, verbs = self._owners.get(address), self._live.verbs(GROUP, RESOURCE)
        try:
            if present is not None and is_stale(present, owner):
                await verbs.delete(self._context, "", address, DeleteOptions(uid=present["metadata"]["uid"]))
            elif present is None and owner is not None:
                await verbs.create(self._context, "", address_object(address, owner))
        except ApiError as error:
            if error.code not in (404, 409):  # someone was faster, and their change comes as an event
                log.warning("cannot keep the object of address %s: %s", address, error)

    def _take_services(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is None:
                continue
            service = (event.item.namespace, event.item.name)
            before = self._of_service.pop(service, ())
            after = () if event.type == "DELETED" else addresses_of(event.item.tree())
            for address in before:
                if self._owners.get(address) == service:
                    del self._owners[address]
            if after:
                self._of_service[service] = after
                self._owners |= dict.fromkeys(after, service)
            self._mark(*set(before).symmetric_difference(after))

    def _take_addresses(self, events: Sequence[WatchEvent]) -> None:
        self._mark(*(event.item.name for event in events if event.item is not None))

    def _mark(self, *addresses: str) -> None:
        if addresses:
            self._dirty.update(addresses)
            self._changed.set()


def addresses_of(service: Mapping[str, Any]) -> tuple[str, ...]:
    """A service's cluster IPs in canonical form; none for a headless one or an alias."""
    listed = (service.get("spec") or {}).get("clusterIPs") or ()
    return tuple(str(ipaddress.ip_address(each)) for each in listed if each not in ("", "None"))


def is_stale(present: Mapping[str, Any], owner: tuple[str, str] | None) -> bool:
    """Whether an object of ours names another service than the one that has the address. Others' objects never are."""
    if (present["metadata"].get("labels") or {}).get(MANAGED_BY) != MANAGER:
        return False
    parent = (present.get("spec") or {}).get("parentRef") or {}
    return (parent.get("namespace", ""), parent.get("name", "")) != owner


def address_object(address: str, owner: tuple[str, str]) -> Tree:
    """The IPAddress of a service's address."""
    family = "IPv6" if ":" in address else "IPv4"
    namespace, name = owner
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": {FAMILY: family, MANAGED_BY: MANAGER}},
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
    }
