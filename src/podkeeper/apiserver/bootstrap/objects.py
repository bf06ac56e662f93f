"""What every cluster begins with besides its RBAC policy, as trees."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from podkeeper.apiserver.config import ApiServerConfig

Tree = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def namespaces() -> list[Tree]:
    """The system namespaces."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]


def priority_classes() -> list[Tree]:
    """The two classes of system pods."""
    texts = {
        "system-node-critical": (
            2000001000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        "system-cluster-critical": (
            2000000000,
            "Used for system critical pods that must run in the cluster, "
            "but can be moved to another node if necessary.",
        ),
    }
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": text,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        for name, (value, text) in texts.items()
    ]


def kubernetes_service(config: ApiServerConfig, port: int) -> list[Tree]:
    """The service default/kubernetes, its endpoint slice and its endpoints, which name this server.

    A server that only this machine reaches has no endpoint: a loopback address means another machine to everyone."""
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    address = config.advertise_address
    service: Tree = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": config.kubernetes_service_ip,
            "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    }
    if ipaddress.ip_address(address).is_loopback:
        return [service]
    endpoint_slice: Tree = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    endpoints: Tree = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    return [service, endpoint_slice, endpoints]


def service_network(config: ApiServerConfig) -> Tree:
    """The ServiceCIDR that the cluster begins with."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [config.service_cidr]},
    }


def service_network_status(now: str) -> Tree:
    """What its status says: it is ready as soon as it is there."""
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    return {"conditions": [ready]}


def authentication_config_map(config: ApiServerConfig) -> Tree:
    """kube-system/extension-apiserver-authentication: from it aggregated API servers learn whom to trust."""
    data, proxies = {"client-ca-file": config.client_ca.read_text()}, config.authentication.request_headers
    if proxies is not None:
        data |= {
            "requestheader-client-ca-file": proxies.client_ca.read_text(),
            "requestheader-allowed-names": json.dumps(proxies.allowed_names),
            "requestheader-username-headers": json.dumps(proxies.username),
            "requestheader-group-headers": json.dumps(proxies.group),
            "requestheader-uid-headers": json.dumps(proxies.uid),
            "requestheader-extra-headers-prefix": json.dumps(proxies.extra),
        }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": data,
    }
