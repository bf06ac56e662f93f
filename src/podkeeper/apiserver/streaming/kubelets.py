"""Where a node's kubelet is reached, and with which credentials."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from podkeeper.api.errors import ApiError, internal, not_found
from podkeeper.apiserver.config import ApiServerConfig
from podkeeper.apiserver.live import Lookup

_DEFAULT_PORT = 10250
#: Addresses in digits before names, which need a resolver that knows them.
_PREFERRED = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")


class Location(Struct, frozen=True):
    """A server to pass a request on to. ``tls`` None: plain HTTP. ``server_name`` is what its certificate must say,
    where that is not the host."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str = ""

    @property
    def authority(self) -> str:
        """``host:port`` as a Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def kubelet_tls(config: ApiServerConfig) -> ssl.SSLContext:
    """The API server's client certificate; kubelets are checked against a CA only where one is configured."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if config.kubelet_ca is not None:
        context.load_verify_locations(config.kubelet_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(config.kubelet_client_certificate, config.kubelet_client_key)
    return context


class Kubelets:
    """Finds kubelets by node name."""

    def __init__(self, lookup: Lookup, config: ApiServerConfig) -> None:
        self._lookup, self._config = lookup, config
        self._tls: ssl.SSLContext | None = None

    async def locate(self, node_name: str) -> Location:
        """The kubelet of a node. Raises 404, and 500 for a node without an address."""
        node = await self._lookup.get("", "nodes", "", node_name)
        if node is None:
            raise not_found("nodes", "", node_name)
        if self._tls is None:
            self._tls = kubelet_tls(self._config)
        return Location(_address(node), _port(node), self._tls)


def _address(node: Mapping[str, Any]) -> str:
    """The node's address of the most preferred type."""
    addresses = (node.get("status") or {}).get("addresses") or ()
    for kind in _PREFERRED:
        for each in addresses:
            if each.get("type") == kind and each.get("address"):
                return str(each["address"])
    raise no_address(node["metadata"]["name"])


def no_address(node_name: str) -> ApiError:
    """500: the kubelet has not told where it is."""
    return internal(f"no preferred addresses found for node {node_name}; known addresses: []")


def _port(node: Mapping[str, Any]) -> int:
    endpoints = (node.get("status") or {}).get("daemonEndpoints") or {}
    return int((endpoints.get("kubeletEndpoint") or {}).get("Port") or _DEFAULT_PORT)
