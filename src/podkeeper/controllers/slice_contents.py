"""What a service's endpoint slices must say together: endpoints by address family and ports. Pure.

Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/ and
https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from podkeeper.api.core import v1
from podkeeper.api.discovery import v1 as discovery
from podkeeper.controllers.pod_ranks import is_ready
from podkeeper.controllers.service_pods import addresses_of_family, families, hostname, target_port

ZONE = "topology.kubernetes.io/zone"
#: (address type, ports): what all endpoints of one slice share.
Group = tuple[str, tuple[discovery.EndpointPort, ...]]
Contents = dict[Group, list[discovery.Endpoint]]
#: A node by name.
Nodes = Callable[[str], v1.Node | None]


def contents(service: v1.Service, pods: Iterable[v1.Pod], nodes: Nodes) -> Contents:
    """Endpoints by group; those without any of the ports have a group without ports. A pod on a node that is not known
    waits until it is, unless unready ones are published."""
    found: Contents = {}
    early = bool(service.spec.publish_not_ready_addresses)
    for pod in pods:
        node = nodes(pod.spec.node_name) if pod.spec.node_name else None
        if pod.spec.node_name and node is None and not early:
            continue
        ports = _ports(service, pod)
        for family in families(service):
            listed = addresses_of_family(pod, family)
            if listed:
                found.setdefault((family, ports), []).append(endpoint(service, pod, node, listed))
    return found


def endpoint(service: v1.Service, pod: v1.Pod, node: v1.Node | None, addresses: tuple[str, ...]) -> discovery.Endpoint:
    """A pod as an endpoint of the service."""
    serving, terminating = is_ready(pod), bool(pod.metadata.deletion_timestamp)
    ready = bool(service.spec.publish_not_ready_addresses) or (serving and not terminating)
    zone = node.metadata.labels.get(ZONE, "") if node else ""
    return discovery.Endpoint(
        addresses=addresses,
        conditions=discovery.EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=hostname(pod, service),
        node_name=pod.spec.node_name,
        zone=zone,
        target_ref=v1.ObjectReference(
            kind="Pod", namespace=pod.metadata.namespace, name=pod.metadata.name, uid=pod.metadata.uid
        ),
        hints=_hints(service.spec.traffic_distribution, zone, pod.spec.node_name) if ready else None,
    )


def _ports(service: v1.Service, pod: v1.Pod) -> tuple[discovery.EndpointPort, ...]:
    found = ((port, target_port(pod, port)) for port in service.spec.ports)
    return tuple(
        discovery.EndpointPort(
            name=port.name, port=number, protocol=port.protocol or "TCP", app_protocol=port.app_protocol
        )
        for port, number in found
        if number is not None
    )


def _hints(distribution: str, zone: str, node: str) -> discovery.EndpointHints | None:
    """Where an endpoint should be used: every one for its own zone or node."""
    zones = (discovery.ForZone(name=zone),) if zone else ()
    if distribution in ("PreferClose", "PreferSameZone"):
        return discovery.EndpointHints(for_zones=zones) if zones else None
    if distribution == "PreferSameNode" and node:
        return discovery.EndpointHints(for_zones=zones, for_nodes=(discovery.ForNode(name=node),))
    return None


def inherited_labels(labels: Mapping[str, str], reserved: Iterable[str]) -> dict[str, str]:
    """Labels that a slice takes over from what it stands for."""
    kept = set(reserved)
    return {key: value for key, value in labels.items() if key not in kept}
