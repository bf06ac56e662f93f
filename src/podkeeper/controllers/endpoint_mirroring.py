"""Endpoint slices for Endpoints that people or programs write by hand for services without selectors."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.discovery import v1 as discovery
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers import slice_packing
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.controllers.ownership import reference_to
from podkeeper.controllers.service_pods import HEADLESS, TRIGGER_TIME
from podkeeper.controllers.slice_contents import Contents, inherited_labels
from podkeeper.controllers.slice_packing import Head, Plan
from podkeeper.controllers.slice_writer import MANAGED_BY, SERVICE_NAME, SliceWriter

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MOST_ADDRESSES = 1000


class EndpointMirroring:
    """Keys are Endpoints objects, which have the names of their services."""

    name = "endpointslicemirroring-controller"
    workers = 5

    def __init__(self, tools: Tools) -> None:
        self._services, self._endpoints = tools.informer(v1.Service), tools.informer(v1.Endpoints)
        self._slices = SliceWriter(tools, MANAGER)

    def watches(self) -> Sequence[Watch[Any]]:
        """Endpoints, their services, and the slices themselves."""
        return (
            Watch(self._endpoints, own_key),
            Watch(self._services, own_key),
            Watch(self._slices.informer, self._slices.changed),
        )

    async def reconcile(self, key: Key) -> float | None:
        """Mirrors, or removes what must not be mirrored any more."""
        if (patience := self._slices.seconds_left(key)) > 0:
            return patience
        service, endpoints = self._services.lister.get(*key), self._endpoints.lister.get(*key)
        existing = self._slices.of_service(key)
        if endpoints is not None and service is not None and not service.spec.selector and is_mirrored(endpoints):
            found = slice_packing.plan(_head(endpoints), existing, mirrored(endpoints), MOST_ADDRESSES)
        else:
            found = Plan(delete=list(existing))
        await self._slices.write(key, slice_packing.reuse(found))
        return None


def is_mirrored(endpoints: v1.Endpoints) -> bool:
    """Whether slices may stand for the object: its owner has not said no, and it is no election's lock."""
    metadata = endpoints.metadata
    going = bool(metadata.deletion_timestamp)
    return not going and metadata.labels.get(SKIP) != "true" and LEADER not in metadata.annotations


def mirrored(endpoints: v1.Endpoints) -> Contents:
    """What the slices must say; of each subset the first thousand addresses."""
    found: Contents = {}
    for subset in endpoints.subsets:
        ports = tuple(
            discovery.EndpointPort(
                name=port.name, port=port.port, protocol=port.protocol, app_protocol=port.app_protocol or None
            )
            for port in subset.ports
        )
        listed = [(each, True) for each in subset.addresses] + [(each, False) for each in subset.not_ready_addresses]
        for address, ready in listed[:MOST_ADDRESSES]:
            family = f"IPv{ipaddress.ip_address(address.ip).version}"
            found.setdefault((family, ports), []).append(_endpoint(address, ready=ready))
    return found


def _endpoint(address: v1.EndpointAddress, *, ready: bool) -> discovery.Endpoint:
    return discovery.Endpoint(
        addresses=(address.ip,),
        conditions=discovery.EndpointConditions(ready=ready),
        hostname=address.hostname,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _head(endpoints: v1.Endpoints) -> Head:
    metadata = endpoints.metadata
    labels = inherited_labels(metadata.labels, (SERVICE_NAME, MANAGED_BY, HEADLESS))
    labels |= {SERVICE_NAME: metadata.name, MANAGED_BY: MANAGER}
    annotations = inherited_labels(metadata.annotations, (TRIGGER_TIME, LAST_APPLIED))
    made = meta.ObjectMeta(
        generate_name=f"{metadata.name}-",
        namespace=metadata.namespace,
        labels=labels,
        annotations=annotations,
        owner_references=(reference_to(endpoints),),
    )
    return Head(made)
