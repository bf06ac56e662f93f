"""nodes/proxy, pods/proxy and services/proxy: plain HTTP passed on to a node's kubelet, a pod or a service's
endpoint."""

from __future__ import annotations

import random
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from podkeeper.api.errors import ApiError, bad_request, not_found, unavailable
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.streaming.kubelets import Kubelets, Location
from podkeeper.apiserver.streaming.passing import pass_on
from podkeeper.foundation.http import Answer
from podkeeper.registry.verbs import ListOptions

Tree = Mapping[str, Any]


class Proxies:
    """Handlers of the proxy subresources. A name may carry a scheme and a port: ``https:web:8443``."""

    def __init__(self, kubelets: Kubelets, live: LiveObjects) -> None:
        self._kubelets, self._live = kubelets, live

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group, resource and subresource."""
        return {
            ("", "nodes", "proxy"): self.to_node,
            ("", "pods", "proxy"): self.to_pod,
            ("", "services", "proxy"): self.to_service,
        }

    async def to_node(self, call: Call) -> Answer:
        """To the kubelet, with the API server's credentials."""
        _, name, _ = split_name(call.info.name)
        where = await self._kubelets.locate(name)
        return await pass_on(call, where, _target(call))

    async def to_pod(self, call: Call) -> Answer:
        """To a port of the pod: the one named, or its first."""
        scheme, name, port = split_name(call.info.name)
        pod = await self._live.get("", "pods", call.info.namespace, name)
        if pod is None:
            raise not_found("pods", "", name)
        address = (pod.get("status") or {}).get("podIP")
        if not address:
            raise bad_request("address not allowed")
        where = Location(address, _pod_port(pod, port), _tls(scheme))
        return await pass_on(call, where, _target(call))

    async def to_service(self, call: Call) -> Answer:
        """To any ready endpoint of the service."""
        scheme, name, port = split_name(call.info.name)
        namespace = call.info.namespace
        service = await self._live.get("", "services", namespace, name)
        if service is None:
            raise not_found("services", "", name)
        port_name = _service_port(service, port)
        selection = ListOptions(label_selector=f"kubernetes.io/service-name={name}")
        slices = await self._live.verbs("discovery.k8s.io", "endpointslices").list(namespace, selection)
        found = [pair for item in slices.items for pair in _ready(item.tree(), port_name)]
        if not found:
            raise unavailable(f'no endpoints available for service "{call.info.name}"')
        address, number = random.choice(found)  # noqa: S311 - spreads load
        return await pass_on(call, Location(address, number, _tls(scheme)), _target(call))


def split_name(text: str) -> tuple[str, str, str]:
    """Scheme, name and port of ``[scheme:]name[:port]``. Raises 400."""
    parts = text.split(":")
    if len(parts) == 1:
        return "", text, ""
    if len(parts) == 2:
        name, port = parts
        return "", name, port
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        scheme, name, port = parts
        return scheme, name, port
    raise bad_request(f'invalid request "{text}"')


def _target(call: Call) -> str:
    path = "/" + quote(call.info.rest, safe="/:@!$&'()*+,;=~-._")
    if call.info.path.endswith("/") and not path.endswith("/"):
        path += "/"
    return f"{path}?{call.info.raw_query}" if call.info.raw_query else path


def _tls(scheme: str) -> ssl.SSLContext | None:
    """TLS without checks: the client chose a name that no certificate has (as upstream)."""
    if scheme != "https":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _pod_port(pod: Tree, wanted: str) -> int:
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
    if wanted.isdigit():
        return int(wanted)
    if wanted:
        for port in ports:
            if port.get("name") == wanted:
                return int(port["containerPort"])
        raise bad_request(f'no port "{wanted}" in pod {pod["metadata"]["name"]}')
    return int(ports[0]["containerPort"]) if ports else 80


def _service_port(service: Tree, wanted: str) -> str:
    """The name of the service's port that is meant."""
    ports: Any = service["spec"].get("ports") or ()
    if not wanted and len(ports) == 1:
        return str(ports[0].get("name") or "")
    for port in ports:
        if wanted in {port.get("name"), str(port.get("port"))}:
            return str(port.get("name") or "")
    raise _no_such_port(service, wanted)


def _no_such_port(service: Tree, wanted: str) -> ApiError:
    return unavailable(f'no service port "{wanted}" found for service "{service["metadata"]["name"]}"')


def _ready(endpoint_slice: Tree, port_name: str) -> list[tuple[str, int]]:
    numbers = [port["port"] for port in endpoint_slice.get("ports") or () if (port.get("name") or "") == port_name]
    return [
        (address, number)
        for endpoint in endpoint_slice.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint.get("addresses") or ()
        for number in numbers
    ]
