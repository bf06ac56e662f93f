"""Services and what is behind them.

Source: upstream's pkg/api/service and the strategies of endpoints and endpoint slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from podkeeper.api.warnings.addresses import of_address, of_network

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.discovery import v1 as discovery

_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_EXTERNAL = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
#: Whose objects need no look: label and value.
_SLICES_BY = "endpointslice.kubernetes.io/managed-by"
_OUR_SLICES = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
_ENDPOINTS_BY, _OUR_ENDPOINTS = "endpoints.kubernetes.io/managed-by", "endpoint-controller"


def service(new: v1.Service, old: v1.Service | None) -> Iterator[str]:
    """A service."""
    spec = new.spec
    if _HINTS in new.metadata.annotations:
        yield f"annotation {_HINTS} is deprecated, please use {_MODE} instead"
    if spec.cluster_ip not in ("", "None"):
        for index, address in enumerate(spec.cluster_ips):
            yield from of_address(f"spec.clusterIPs[{index}]", address)
    headless = spec.type == "ClusterIP" and spec.cluster_ip == "None"
    if headless:
        yield from _ignored(spec)
    for index, address in enumerate(spec.external_ips):
        yield from of_address(f"spec.externalIPs[{index}]", address)
    if spec.external_ips and not headless and spec.type != "ExternalName":
        yield _EXTERNAL
    if spec.load_balancer_ip:
        yield from of_address("spec.loadBalancerIP", spec.load_balancer_ip)
    for index, network in enumerate(spec.load_balancer_source_ranges):
        yield from of_network(f"spec.loadBalancerSourceRanges[{index}]", network)
    if spec.type == "ExternalName" and spec.external_ips:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.type != "ExternalName" and spec.external_name:
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.traffic_distribution == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _ignored(spec: v1.ServiceSpec) -> Iterator[str]:
    """What a headless service has no use for."""
    if spec.load_balancer_ip:
        yield "spec.loadBalancerIP is ignored for headless services"
    if spec.external_ips:
        yield "spec.externalIPs is ignored for headless services"
    if spec.session_affinity != "None":
        yield "spec.SessionAffinity is ignored for headless services"


def endpoints(new: v1.Endpoints, old: v1.Endpoints | None) -> Iterator[str]:
    """Endpoints that are not our controller's."""
    if new.metadata.labels.get(_ENDPOINTS_BY) == _OUR_ENDPOINTS:
        return
    for index, subset in enumerate(new.subsets):
        for name, listed in (("addresses", subset.addresses), ("notReadyAddresses", subset.not_ready_addresses)):
            for number, address in enumerate(listed):
                yield from of_address(f"subsets[{index}].{name}[{number}].ip", address.ip)


def endpoint_slice(new: discovery.EndpointSlice, old: discovery.EndpointSlice | None) -> Iterator[str]:
    """A slice that is not one of our controllers'."""
    if new.address_type == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"
    if new.metadata.labels.get(_SLICES_BY) in _OUR_SLICES:
        return
    for index, endpoint in enumerate(new.endpoints):
        for number, address in enumerate(endpoint.addresses):
            yield from of_address(f"endpoints[{index}].addresses[{number}]", address)
