"""The subsets of an Endpoints object: addresses that share the same ports, ready ones apart from the others. Pure.

Source: https://kubernetes.io/docs/concepts/services-networking/service/#endpoints
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import msgspec

from podkeeper.api.core import v1
from podkeeper.controllers.pod_ranks import is_ready
from podkeeper.controllers.service_pods import addresses_of_family, families, hostname, is_headless, target_port

MOST_ADDRESSES = 1000
Ports = tuple[v1.EndpointPort, ...]


def subsets(service: v1.Service, pods: Iterable[v1.Pod]) -> tuple[v1.EndpointSubset, ...]:
    """What the service's Endpoints must say, in an order that depends on nothing but the content."""
    found: dict[Ports, tuple[list[v1.EndpointAddress], list[v1.EndpointAddress]]] = {}
    family, early = families(service)[0], bool(service.spec.publish_not_ready_addresses)
    for pod in pods:
        ports, addresses = _ports(service, pod), addresses_of_family(pod, family)
        if not addresses or not (ports or (is_headless(service) and not service.spec.ports)):
            continue
        ready, waiting = found.setdefault(ports, ([], []))
        (ready if early or is_ready(pod) else waiting).append(_address(service, pod, addresses[0]))
    return tuple(
        v1.EndpointSubset(addresses=_sorted(ready), not_ready_addresses=_sorted(waiting), ports=ports)
        for ports, (ready, waiting) in sorted(found.items(), key=lambda pair: str(pair[0]))
    )


def truncated(listed: Sequence[v1.EndpointSubset]) -> tuple[v1.EndpointSubset, ...] | None:
    """The subsets cut to the most addresses there may be, ready ones first; None when nothing has to be cut."""
    if sum(len(each.addresses) + len(each.not_ready_addresses) for each in listed) <= MOST_ADDRESSES:
        return None
    left, ready = MOST_ADDRESSES, []
    for each in listed:
        ready.append(each.addresses[:left])
        left -= len(ready[-1])
    cut = []
    for each, addresses in zip(listed, ready, strict=True):
        waiting = each.not_ready_addresses[:left]
        left -= len(waiting)
        if addresses or waiting:
            cut.append(msgspec.structs.replace(each, addresses=addresses, not_ready_addresses=waiting))
    return tuple(cut)


def _address(service: v1.Service, pod: v1.Pod, address: str) -> v1.EndpointAddress:
    reference = v1.ObjectReference(
        kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid
    )
    return v1.EndpointAddress(
        ip=address, hostname=hostname(pod, service), node_name=pod.spec.node_name, target_ref=reference
    )


def _ports(service: v1.Service, pod: v1.Pod) -> Ports:
    """Sorted, for objects that were written with another order say the same."""
    found = ((port, target_port(pod, port)) for port in service.spec.ports)
    listed = (
        v1.EndpointPort(
            name=port.name, port=number, protocol=port.protocol or "TCP", app_protocol=port.app_protocol or ""
        )
        for port, number in found
        if number is not None
    )
    return tuple(sorted(listed, key=lambda each: (each.name, each.port, each.protocol)))


def _sorted(addresses: list[v1.EndpointAddress]) -> tuple[v1.EndpointAddress, ...]:
    return tuple(sorted(addresses, key=lambda each: (ipaddress.ip_address(each.ip).packed, str(each.target_ref))))
