"""Ingresses, their classes, and network policies.

Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/ and .../network-policy-v1/
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import PROTOCOLS, address, is_address, network, port, port_number, prefixed_path
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.networking import v1 as networking

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network
    _Parameters = networking.IngressClassParametersReference

_NOT_A_NAME = "must be a DNS name, not an IP address"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_FORBIDDEN_PIECES = ("//", "/./", "/../", "%2f", "%2F")
_MAX_CONTROLLER = 250
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


def ingress(found: Found, obj: networking.Ingress) -> None:
    """A new Ingress."""
    _ingress_spec(found, obj.spec)
    named = obj.metadata.annotations.get(_CLASS_ANNOTATION)
    if named is not None and obj.spec.ingress_class_name not in (None, named):
        why = "must match `ingressClassName` when both are specified"
        found.invalid(f"annotations.{_CLASS_ANNOTATION}", named, why)


def ingress_update(found: Found, new: networking.Ingress, old: networking.Ingress) -> None:
    """Everything may change."""
    _ingress_spec(found, new.spec)


def ingress_status_update(found: Found, new: networking.Ingress, old: networking.Ingress) -> None:
    """Where the Ingress can be reached."""
    for path, point in indexed("status.loadBalancer.ingress", new.status.load_balancer.ingress):
        if point.ip:
            address(found, f"{path}.ip", point.ip)
        if point.hostname:
            found.check(f"{path}.hostname", point.hostname, names.dns_subdomain)
            if is_address(point.hostname):
                found.invalid(f"{path}.hostname", point.hostname, _NOT_A_NAME)


def _ingress_spec(found: Found, spec: networking.IngressSpec) -> None:
    if not spec.rules and spec.default_backend is None:
        found.invalid("spec", [], "either `defaultBackend` or `rules` must be specified")
    if spec.default_backend is not None:
        _backend(found, "spec.defaultBackend", spec.default_backend)
    for path, rule in indexed("spec.rules", spec.rules):
        if rule.host:
            _host(found, f"{path}.host", rule.host)
        if rule.http is None:
            continue
        if not rule.http.paths:
            found.required(f"{path}.http.paths")
        for inner, each in indexed(f"{path}.http.paths", rule.http.paths):
            _path(found, inner, each)
    for path, tls in indexed("spec.tls", spec.tls):
        for inner, host in indexed(f"{path}.hosts", tls.hosts):
            found.check(inner, host, names.wildcard_subdomain if "*" in host else names.dns_subdomain)
        if tls.secret_name:
            found.check(f"{path}.secretName", tls.secret_name, names.dns_subdomain)
    if spec.ingress_class_name is not None:
        found.check("spec.ingressClassName", spec.ingress_class_name, names.dns_subdomain)


def ingress_class(found: Found, obj: networking.IngressClass) -> None:
    """A new class."""
    controller = obj.spec.controller
    if len(controller) > _MAX_CONTROLLER:
        found.too_long("spec.controller", _MAX_CONTROLLER)
    prefixed_path(found, "spec.controller", controller)
    if obj.spec.parameters is not None:
        _parameters(found, "spec.parameters", obj.spec.parameters)


def ingress_class_update(found: Found, new: networking.IngressClass, old: networking.IngressClass) -> None:
    """The controller stays."""
    ingress_class(found, new)
    found.unchanged("spec.controller", new.spec.controller, old.spec.controller)


def network_policy(found: Found, obj: networking.NetworkPolicy) -> None:
    """A new or changed policy."""
    spec = obj.spec
    label_selector(found, "spec.podSelector", spec.pod_selector)
    for path, inward in indexed("spec.ingress", spec.ingress):
        _ports(found, f"{path}.ports", inward.ports)
        _peers(found, f"{path}.from", inward.from_)
    for path, outward in indexed("spec.egress", spec.egress):
        _ports(found, f"{path}.ports", outward.ports)
        _peers(found, f"{path}.to", outward.to)
    if len(spec.policy_types) > 2:
        found.invalid("spec.policyTypes", spec.policy_types, "may not specify more than two policyTypes")
    for path, each in indexed("spec.policyTypes", spec.policy_types):
        if each not in ("Egress", "Ingress"):
            found.unsupported(path, each, ("Ingress", "Egress"))


def network_policy_update(found: Found, new: networking.NetworkPolicy, old: networking.NetworkPolicy) -> None:
    """Everything may change."""
    network_policy(found, new)


def _host(found: Found, at: str, host: str) -> None:
    if is_address(host):
        found.invalid(at, host, _NOT_A_NAME)
    found.check(at, host, names.wildcard_subdomain if "*" in host else names.dns_subdomain)


def _path(found: Found, at: str, each: networking.HTTPIngressPath) -> None:
    if not each.path_type:
        found.required(f"{at}.pathType", "pathType must be specified")
        return
    if each.path_type not in _PATH_TYPES:
        found.unsupported(f"{at}.pathType", each.path_type, _PATH_TYPES)
    needs_path = each.path_type in ("Exact", "Prefix")
    if (needs_path or each.path) and not each.path.startswith("/"):
        found.invalid(f"{at}.path", each.path, "must be an absolute path")
    if needs_path:
        for piece in _FORBIDDEN_PIECES:
            if piece in each.path:
                found.invalid(f"{at}.path", each.path, f"must not contain '{piece}'")
        for ending in ("/..", "/."):
            if each.path.endswith(ending):
                found.invalid(f"{at}.path", each.path, f"cannot end with '{ending}'")
    _backend(found, f"{at}.backend", each.backend)


def _backend(found: Found, at: str, backend: networking.IngressBackend) -> None:
    service = backend.service
    if backend.resource is not None and service is not None:
        found.invalid(at, "", "cannot set both resource and service backends")
    elif service is not None:
        if not service.name:
            found.required(f"{at}.service.name")
        else:
            found.check(f"{at}.service.name", service.name, names.dns_label)
        number, name = service.port.number, service.port.name
        if name and number:
            found.invalid(at, "", "cannot set both port name & port number")
        elif name:
            found.check(f"{at}.service.port.name", name, names.port_name)
        elif number:
            port_number(found, f"{at}.service.port.number", number)
        else:
            found.required(at, "port name or number is required")
    elif backend.resource is None:
        found.invalid(at, "", "resource or service backend is required")
    else:
        _reference(found, f"{at}.resource", backend.resource)


def _ports(found: Found, at: str, ports: tuple[networking.NetworkPolicyPort, ...]) -> None:
    for path, each in indexed(at, ports):
        if each.protocol and each.protocol not in PROTOCOLS:
            found.unsupported(f"{path}.protocol", each.protocol, ("TCP", "UDP", "SCTP"))
        if each.end_port is not None:
            _end_port(found, f"{path}.endPort", each.port, each.end_port)
        if each.port is not None:
            port(found, f"{path}.port", each.port)


def _end_port(found: Found, at: str, begin: int | str | None, end: int) -> None:
    if begin is None:
        found.invalid(at, end, "may not be specified when `port` is not specified")
    elif isinstance(begin, str):
        found.invalid(at, end, "may not be specified when `port` is non-numeric")
    else:
        if end < begin:
            found.invalid(at, end, "must be greater than or equal to `port`")
        port_number(found, at, end)


def _peers(found: Found, at: str, peers: tuple[networking.NetworkPolicyPeer, ...]) -> None:
    for path, peer in indexed(at, peers):
        label_selector(found, f"{path}.podSelector", peer.pod_selector)
        label_selector(found, f"{path}.namespaceSelector", peer.namespace_selector)
        selecting = peer.pod_selector is not None or peer.namespace_selector is not None
        if peer.ip_block is not None:
            _block(found, f"{path}.ipBlock", peer.ip_block)
            if selecting:
                found.forbidden(path, "may not specify both ipBlock and another peer")
        elif not selecting:
            found.required(path, "must specify a peer")


def _block(found: Found, at: str, block: networking.IPBlock) -> None:
    if not block.cidr:
        found.required(f"{at}.cidr")
        return
    before = len(found)
    network(found, f"{at}.cidr", block.cidr)
    if len(found) > before:
        return
    whole = ipaddress.ip_network(block.cidr, strict=False)
    for path, each in indexed(f"{at}.except", block.except_):
        before = len(found)
        network(found, path, each)
        if len(found) == before and not _strictly_inside(ipaddress.ip_network(each, strict=False), whole):
            found.invalid(path, each, "must be a strict subset of `cidr`")


def _strictly_inside(part: Network, whole: Network) -> bool:
    return part.version == whole.version and part.network_address in whole and part.prefixlen > whole.prefixlen


def _reference(found: Found, at: str, target: v1.TypedLocalObjectReference | _Parameters) -> None:
    if target.api_group is not None:
        found.check(f"{at}.apiGroup", target.api_group, names.dns_subdomain)
    for name, value in (("kind", target.kind), ("name", target.name)):
        if not value:
            found.required(f"{at}.{name}")
        else:
            found.check(f"{at}.{name}", value, names.path_segment)


def _parameters(found: Found, at: str, target: _Parameters) -> None:
    """A class's parameters, of one namespace or of the cluster."""
    _reference(found, at, target)
    found.one_of(f"{at}.scope", target.scope, ("Cluster", "Namespace"))
    if target.scope == "Namespace":
        if target.namespace is None:
            found.required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            found.check(f"{at}.namespace", target.namespace, names.dns_label)
    elif target.scope == "Cluster" and target.namespace is not None:
        found.forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'")
