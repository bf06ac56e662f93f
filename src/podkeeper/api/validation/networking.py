"""Ingresses, their classes, and network policies.

Source: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/ and .../network-policy-v1/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import PROTOCOLS, is_address, network, port, port_number
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.networking import v1 as networking

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_MAX_CONTROLLER = 250


def ingress(found: Found, obj: networking.Ingress) -> None:
    """A new or changed Ingress."""
    spec = obj.spec
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


def ingress_update(found: Found, new: networking.Ingress, old: networking.Ingress) -> None:
    """Everything may change."""
    ingress(found, new)


def ingress_class(found: Found, obj: networking.IngressClass) -> None:
    """A new class."""
    controller = obj.spec.controller
    if len(controller) > _MAX_CONTROLLER:
        found.too_long("spec.controller", _MAX_CONTROLLER)
    if not controller:
        found.required("spec.controller")
    elif "/" not in controller:
        found.invalid("spec.controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")')


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
            found.unsupported(path, each, ("Egress", "Ingress"))


def network_policy_update(found: Found, new: networking.NetworkPolicy, old: networking.NetworkPolicy) -> None:
    """Everything may change."""
    network_policy(found, new)


def _host(found: Found, at: str, host: str) -> None:
    if is_address(host):
        found.invalid(at, host, "must be a DNS name, not an IP address")
    found.check(at, host, names.wildcard_subdomain if "*" in host else names.dns_subdomain)


def _path(found: Found, at: str, each: networking.HTTPIngressPath) -> None:
    if not each.path_type:
        found.required(f"{at}.pathType", "pathType must be specified")
    elif each.path_type not in _PATH_TYPES:
        found.unsupported(f"{at}.pathType", each.path_type, _PATH_TYPES)
    needs_path = each.path_type in ("Exact", "Prefix")
    if (needs_path or each.path) and not each.path.startswith("/"):
        found.invalid(f"{at}.path", each.path, "must be an absolute path")
    if needs_path:
        for piece in ("//", "/./", "/../", "%2f", "%2F"):
            if piece in each.path:
                found.invalid(f"{at}.path", each.path, f"must not contain '{piece}'")
    _backend(found, f"{at}.backend", each.backend)


def _backend(found: Found, at: str, backend: networking.IngressBackend) -> None:
    service = backend.service
    if backend.resource is not None and service is not None:
        found.invalid(at, "", "cannot set both resource and service backends")
    elif service is not None:
        if not service.name:
            found.required(f"{at}.service.name")
        else:
            found.check(f"{at}.service.name", service.name, names.dns_1035_label)
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
        found.required(at, "resource or service backend is required")


def _ports(found: Found, at: str, ports: tuple[networking.NetworkPolicyPort, ...]) -> None:
    for path, each in indexed(at, ports):
        if each.protocol and each.protocol not in PROTOCOLS:
            found.unsupported(f"{path}.protocol", each.protocol, PROTOCOLS)
        if each.port is not None:
            port(found, f"{path}.port", each.port)
        if each.end_port is not None:
            if each.port is None:
                found.required(f"{path}.endPort", "may not be specified when `port` is not specified")
            elif isinstance(each.port, str):
                found.invalid(f"{path}.endPort", each.end_port, "may not be specified when `port` is non-numeric")
            elif each.end_port < each.port:
                found.invalid(f"{path}.endPort", each.end_port, "must be greater than or equal to `port`")


def _peers(found: Found, at: str, peers: tuple[networking.NetworkPolicyPeer, ...]) -> None:
    for path, peer in indexed(at, peers):
        label_selector(found, f"{path}.podSelector", peer.pod_selector)
        label_selector(found, f"{path}.namespaceSelector", peer.namespace_selector)
        selecting = peer.pod_selector is not None or peer.namespace_selector is not None
        if peer.ip_block is not None:
            network(found, f"{path}.ipBlock.cidr", peer.ip_block.cidr)
            for inner, each in indexed(f"{path}.ipBlock.except", peer.ip_block.except_):
                network(found, inner, each)
            if selecting:
                found.forbidden(path, "may not specify both ipBlock and another peer")
        elif not selecting:
            found.required(path, "must specify a peer")
