"""Services, Endpoints and EndpointSlices.

Source: https://kubernetes.io/docs/concepts/services-networking/service/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.metadata import label_map
from podkeeper.api.validation.paths import PROTOCOLS, network, outside_address, port, port_number

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.discovery import v1 as discovery

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_MAX_AFFINITY = 86400
_MAX_ENDPOINTS = 1000
_MAX_PORTS = 20_000
_MAX_ADDRESSES = 100


def service(found: Found, obj: v1.Service) -> None:
    """A new service, its addresses and ports allocated."""
    _any_service(found, obj.spec)
    _outward(found, obj.spec)


def _any_service(found: Found, spec: v1.ServiceSpec) -> None:
    headless = spec.cluster_ip == "None"
    if not spec.ports and not headless and spec.type != "ExternalName":
        found.required("spec.ports")
    if spec.type == "LoadBalancer" and headless:
        found.invalid("spec.clusterIPs[0]", spec.cluster_ip, "may not be set to 'None' for LoadBalancer services")
    if spec.type == "NodePort" and headless:
        found.invalid("spec.clusterIPs[0]", spec.cluster_ip, "may not be set to 'None' for NodePort services")
    if spec.type == "ExternalName":
        _external_name(found, spec)
    elif spec.external_name and spec.external_name != spec.external_name.strip():
        found.invalid("spec.externalName", spec.external_name, "must not have surrounding whitespace")
    _ports(found, spec)
    label_map(found, "spec.selector", spec.selector)
    _affinity(found, spec)
    for path, each in indexed("spec.externalIPs", spec.external_ips):
        outside_address(found, path, each)
    found.one_of("spec.type", spec.type, _TYPES)
    _policies(found, spec)


def service_update(found: Found, new: v1.Service, old: v1.Service) -> None:
    """A cluster address stays as long as both states have one."""
    after, before = new.spec, old.spec
    _any_service(found, after)
    if after.external_traffic_policy != before.external_traffic_policy:  # what another type left behind is no mistake
        _outward(found, after)
    if "ExternalName" in (after.type, before.type) or not before.cluster_ip:
        return
    if after.cluster_ip != before.cluster_ip:
        found.invalid("spec.clusterIPs[0]", after.cluster_ips, "may not change once set")
    elif after.ip_families and before.ip_families and after.ip_families[0] != before.ip_families[0]:
        found.invalid("spec.ipFamilies[0]", after.ip_families, "may not change once set")
    both_balanced = after.type == before.type == "LoadBalancer"
    if both_balanced and after.load_balancer_class != before.load_balancer_class:
        found.invalid("spec.loadBalancerClass", after.load_balancer_class, "may not change once set")


def endpoints(found: Found, obj: v1.Endpoints) -> None:
    """New or changed endpoints."""
    for path, subset in indexed("subsets", obj.subsets):
        if not subset.addresses and not subset.not_ready_addresses:
            found.required(path, "must specify `addresses` or `notReadyAddresses`")
        for name, listed in (("addresses", subset.addresses), ("notReadyAddresses", subset.not_ready_addresses)):
            for inner, each in indexed(f"{path}.{name}", listed):
                outside_address(found, f"{inner}.ip", each.ip)
                if each.hostname:
                    found.check(f"{inner}.hostname", each.hostname, names.dns_label)
                if each.node_name:
                    found.check(f"{inner}.nodeName", each.node_name, names.dns_subdomain)
        for inner, each in indexed(f"{path}.ports", subset.ports):
            if len(subset.ports) > 1 and not each.name:
                found.required(f"{inner}.name")
            port_number(found, f"{inner}.port", each.port)
            found.one_of(f"{inner}.protocol", each.protocol, PROTOCOLS)


def endpoints_update(found: Found, new: v1.Endpoints, old: v1.Endpoints) -> None:
    """Everything may change."""
    endpoints(found, new)


def endpoint_slice(found: Found, obj: discovery.EndpointSlice) -> None:
    """A new slice."""
    if not obj.address_type:
        found.required("addressType")
    elif obj.address_type not in ("FQDN", "IPv4", "IPv6"):
        found.unsupported("addressType", obj.address_type, ("FQDN", "IPv4", "IPv6"))
    if len(obj.endpoints) > _MAX_ENDPOINTS:
        found.too_many("endpoints", len(obj.endpoints), _MAX_ENDPOINTS)
    for path, each in indexed("endpoints", obj.endpoints):
        if not each.addresses:
            found.required(f"{path}.addresses", "must contain at least 1 address")
        elif len(each.addresses) > _MAX_ADDRESSES:
            found.too_many(f"{path}.addresses", len(each.addresses), _MAX_ADDRESSES)
        if obj.address_type in ("IPv4", "IPv6"):
            for inner, value in indexed(f"{path}.addresses", each.addresses):
                outside_address(found, inner, value)
        if each.node_name:
            found.check(f"{path}.nodeName", each.node_name, names.dns_subdomain)
        if each.hostname:
            found.check(f"{path}.hostname", each.hostname, names.dns_label)
    _slice_ports(found, obj)


def endpoint_slice_update(found: Found, new: discovery.EndpointSlice, old: discovery.EndpointSlice) -> None:
    """The type of addresses stays."""
    endpoint_slice(found, new)
    found.unchanged("addressType", new.address_type, old.address_type)


def _external_name(found: Found, spec: v1.ServiceSpec) -> None:
    if spec.cluster_ip:
        found.forbidden("spec.clusterIPs[0]", "may not be set when `type` is 'ExternalName'")
    name = spec.external_name.removesuffix(".")
    if not name:
        found.required("spec.externalName")
    else:
        found.check("spec.externalName", name, names.dns_subdomain)


def _ports(found: Found, spec: v1.ServiceSpec) -> None:
    seen: set[str] = set()
    taken: set[tuple[str, int]] = set()
    for path, each in indexed("spec.ports", spec.ports):
        if not each.name:
            if len(spec.ports) > 1:
                found.required(f"{path}.name")
        else:
            found.check(f"{path}.name", each.name, names.dns_label)
            if each.name in seen:
                found.duplicate(f"{path}.name", each.name)
        seen.add(each.name)
        port_number(found, f"{path}.port", each.port)
        found.one_of(f"{path}.protocol", each.protocol, PROTOCOLS)
        if each.target_port is not None:
            port(found, f"{path}.targetPort", each.target_port)
        if each.app_protocol:
            found.check(f"{path}.appProtocol", each.app_protocol, names.qualified_name)
        _node_port(found, path, spec, each, taken)
        pair = (each.protocol, each.port)
        if pair in taken:
            found.duplicate(path, {"protocol": each.protocol, "port": each.port})
        taken.add(pair)


def _node_port(found: Found, at: str, spec: v1.ServiceSpec, each: v1.ServicePort, taken: set[tuple[str, int]]) -> None:
    if not each.node_port:
        return
    if spec.type in ("ClusterIP", "ExternalName"):
        found.forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'")
    pair = (f"node {each.protocol}", each.node_port)
    if pair in taken:
        found.duplicate(f"{at}.nodePort", each.node_port)
    taken.add(pair)


def _affinity(found: Found, spec: v1.ServiceSpec) -> None:
    found.one_of("spec.sessionAffinity", spec.session_affinity, _AFFINITIES)
    config = spec.session_affinity_config
    if spec.session_affinity == "None" and config is not None:
        why = "must not be set when session affinity is None"
        found.forbidden("spec.sessionAffinityConfig", why)
    elif config is not None and config.client_ip is not None:
        seconds = config.client_ip.timeout_seconds
        if seconds is not None and not 0 < seconds <= _MAX_AFFINITY:
            why = f"must be greater than 0 and less than {_MAX_AFFINITY}"
            found.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)


def _outward(found: Found, spec: v1.ServiceSpec) -> None:
    outward = spec.type in ("LoadBalancer", "NodePort") or bool(spec.external_ips)
    if not outward and spec.external_traffic_policy:
        why = "may only be set for externally-accessible services"
        found.invalid("spec.externalTrafficPolicy", spec.external_traffic_policy, why)


def _policies(found: Found, spec: v1.ServiceSpec) -> None:
    for name, value, supported in (
        ("externalTrafficPolicy", spec.external_traffic_policy, ("Cluster", "Local")),
        ("internalTrafficPolicy", spec.internal_traffic_policy, ("Cluster", "Local")),
        ("ipFamilyPolicy", spec.ip_family_policy, _POLICIES),
        ("trafficDistribution", spec.traffic_distribution, _DISTRIBUTIONS),
    ):
        if value and value not in supported:
            found.unsupported(f"spec.{name}", value, supported)
    for path, family in indexed("spec.ipFamilies", spec.ip_families):
        if family not in _FAMILIES:
            found.unsupported(path, family, _FAMILIES)
    if spec.load_balancer_source_ranges and spec.type != "LoadBalancer":
        why = "may only be used when `type` is 'LoadBalancer'"
        found.forbidden("spec.LoadBalancerSourceRanges", why)
    for path, each in indexed("spec.LoadBalancerSourceRanges", spec.load_balancer_source_ranges):
        network(found, path, each.strip())


def _slice_ports(found: Found, obj: discovery.EndpointSlice) -> None:
    if len(obj.ports) > _MAX_PORTS:
        found.too_many("ports", len(obj.ports), _MAX_PORTS)
    seen = set()
    for path, each in indexed("ports", obj.ports):
        name = each.name or ""
        if name in seen:
            found.duplicate(f"{path}.name", name)
        seen.add(name)
        if name:
            found.check(f"{path}.name", name, names.dns_label)
        found.one_of(f"{path}.protocol", each.protocol, PROTOCOLS)
