"""How services, endpoints, ingresses, network policies and address ranges are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podkeeper.apiserver.tables.column import (
    Columns,
    Tree,
    age,
    first_and_more,
    joined,
    labels_text,
    name_of,
    printed,
    selector_text,
    spec_of,
    status_of,
)


def _service(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    addresses = spec.get("clusterIPs") or ()
    ports = joined(_service_port(port) for port in spec.get("ports") or ())
    return [
        name_of(tree),
        spec.get("type", ""),
        addresses[0] if addresses else "<none>",
        _external(spec, status_of(tree)),
        ports,
        age(tree, now),
        labels_text(spec.get("selector")),
    ]


def _service_port(port: Tree) -> str:
    number = f"{port.get('port')}:{port['nodePort']}" if port.get("nodePort") else str(port.get("port"))
    return f"{number}/{port.get('protocol', '')}"


def _external(spec: Tree, status: Tree) -> str:
    kind, addresses = spec.get("type"), list(spec.get("externalIPs") or ())
    if kind in ("ClusterIP", "NodePort"):
        return joined(addresses)
    if kind == "LoadBalancer":
        return joined([*_balancer(status), *addresses], "<pending>")
    return str(spec.get("externalName", "")) if kind == "ExternalName" else "<unknown>"


def _balancer(status: Tree) -> list[str]:
    entries = (status.get("loadBalancer") or {}).get("ingress") or ()
    return sorted({each.get("ip") or each.get("hostname") or "" for each in entries} - {""})


def _endpoints(tree: Tree, now: float) -> list[Any]:
    subsets = tree.get("subsets") or ()
    text = first_and_more(_addresses(subsets), 3, "") if subsets else "<none>"
    return [name_of(tree), text, age(tree, now)]


def _addresses(subsets: Any) -> Iterator[str]:
    for subset in subsets:
        addresses = [each.get("ip", "") for each in subset.get("addresses") or ()]
        if not subset.get("ports"):
            yield from addresses
        for port in subset.get("ports") or ():
            for address in addresses:
                host = f"[{address}]" if ":" in address else address
                yield f"{host}:{port.get('port')}"


def _endpoint_slice(tree: Tree, now: float) -> list[Any]:
    ports = (str(port.get("port") or port.get("name") or "*") for port in tree.get("ports") or ())
    addresses = (address for each in tree.get("endpoints") or () for address in each.get("addresses") or ())
    return [
        name_of(tree),
        tree.get("addressType", ""),
        first_and_more(ports, 3, "<unset>"),
        first_and_more(addresses, 3, "<unset>"),
        age(tree, now),
    ]


def _ingress(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    ports = "80, 443" if spec.get("tls") else "80"
    addresses = ",".join(_balancer(status_of(tree)))
    class_name = spec.get("ingressClassName") or "<none>"
    return [name_of(tree), class_name, _hosts(spec.get("rules") or ()), addresses, ports, age(tree, now)]


def _hosts(rules: Any) -> str:
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == 3:
            return f"{','.join(hosts)} + {len(rules) - 3} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return joined(hosts, "*")


def _ingress_class(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    parameters, text = spec.get("parameters"), "<none>"
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
        text = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [name_of(tree), spec.get("controller", ""), text, age(tree, now)]


def _network_policy(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), selector_text(spec_of(tree).get("podSelector")), age(tree, now)]


def _service_cidr(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), ",".join(spec_of(tree).get("cidrs") or ()), age(tree, now)]


def _ip_address(tree: Tree, now: float) -> list[Any]:
    parent, text = spec_of(tree).get("parentRef"), "<none>"
    if parent:
        resource = f"{parent.get('resource', '')}.{parent['group']}" if parent.get("group") else parent["resource"]
        text = "/".join(part for part in (resource, parent.get("namespace"), parent.get("name")) if part)
    return [name_of(tree), text]


COLUMNS: Mapping[tuple[str, str], Columns] = {
    ("", "services"): printed("Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*", _service),
    ("", "endpoints"): printed("Name|Endpoints|Age", _endpoints),
    ("discovery.k8s.io", "endpointslices"): printed("Name|AddressType|Ports|Endpoints|Age", _endpoint_slice),
    ("networking.k8s.io", "ingresses"): printed("Name|Class|Hosts|Address|Ports|Age", _ingress),
    ("networking.k8s.io", "ingressclasses"): printed("Name|Controller|Parameters|Age", _ingress_class),
    ("networking.k8s.io", "networkpolicies"): printed("Name|Pod-Selector|Age", _network_policy),
    ("networking.k8s.io", "servicecidrs"): printed("Name|CIDRs|Age", _service_cidr),
    ("networking.k8s.io", "ipaddresses"): printed("Name|ParentRef", _ip_address),
}
