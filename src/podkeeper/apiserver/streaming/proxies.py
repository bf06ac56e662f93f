"""nodes/proxy, pods/proxy and services/proxy: plain HTTP passed on to a node's kubelet, a pod or a service's
endpoint."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from podkeeper.api.errors import bad_request, not_found, unavailable
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.streaming.kubelets import Kubelets, Location
from podkeeper.apiserver.streaming.passing import head_of, send, stream_back, switch
from podkeeper.apiserver.streaming.rewriting import Place, changed_headers, is_page, page
from podkeeper.apiserver.streaming.service_endpoints import EndpointResolver, ServiceResolver
from podkeeper.foundation.http import Answer, Response
from podkeeper.foundation.http.client import ExchangeFailed

Tree = Mapping[str, Any]

_SAFE = "/:@!$&'()*+,;=~-._"


class Proxies:
    """Handlers of the proxy subresources. A name may carry a scheme and a port: ``https:web:8443``."""

    def __init__(self, kubelets: Kubelets, live: LiveObjects, services: ServiceResolver | None = None) -> None:
        self._kubelets, self._live = kubelets, live
        self._services = services or EndpointResolver(live)

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group, resource and subresource."""
        return {
            ("", "nodes", "proxy"): self.to_node,
            ("", "pods", "proxy"): self.to_pod,
            ("", "services", "proxy"): self.to_service,
        }

    async def to_node(self, call: Call) -> Answer:
        """To the kubelet, with the API server's credentials."""
        _, name, _ = split_name(call.info.name, "node")
        where = await self._kubelets.locate(name)
        return redirect_to_root(call) or await pass_through(call, where)

    async def to_pod(self, call: Call) -> Answer:
        """To a port of the pod: the one named, or its first."""
        scheme, name, port = split_name(call.info.name, "pod")
        pod = await self._live.get("", "pods", call.info.namespace, name)
        if pod is None:
            raise not_found("pods", "", name)
        address = str((pod.get("status") or {}).get("podIP") or "")
        if not address or is_special(address):
            raise bad_request("address not allowed")
        where = Location(address, _pod_port(pod, port), _tls(scheme))
        return redirect_to_root(call) or await pass_through(call, where)

    async def to_service(self, call: Call) -> Answer:
        """To any ready endpoint of the service that is a pod."""
        scheme, name, port = split_name(call.info.name, "service")
        address, number = await self._services.resolve_to_pod(call.info.namespace, name, port)
        if is_special(address):
            raise bad_request("address not allowed")
        return redirect_to_root(call) or await pass_through(call, Location(address, number, _tls(scheme)))


async def pass_through(call: Call, where: Location) -> Answer:
    """The answer of a web server that need not know that it is proxied. Raises 503 when nobody answers there."""
    info = call.info
    rest = target_path(call)
    prefix = info.path[: -len(rest)] if info.path.endswith(rest) else info.path
    own = [(b"Host", call.request.headers.get(b"host", where.authority.encode()))]
    own += [(b"X-Forwarded-Uri", quote(info.path, safe=_SAFE).encode()), (b"X-Forwarded-Host", own[0][1])]
    try:
        exchange = await send(
            call, where, quote(rest, safe=_SAFE) + (f"?{info.raw_query}" if info.raw_query else ""), own
        )
    except ExchangeFailed as error:
        raise unavailable(f"error trying to reach service: {error}") from error
    if exchange.status == 101:
        return switch(exchange)
    place = Place(prefix, frozenset({where.authority, own[0][1].decode("latin-1")}))
    changed_headers(exchange, place)
    if call.request.method != "HEAD" and is_page(exchange):
        return page(exchange, head_of(exchange.headers), place)
    return stream_back(exchange)


def redirect_to_root(call: Call) -> Response | None:
    """301 for ``.../proxy`` without a slash, from which relative links would lead beside the proxied server."""
    info = call.info
    if info.rest or info.path.endswith("/") or call.request.method not in ("GET", "HEAD"):
        return None
    location = f"{quote(info.path, safe=_SAFE)}/" + (f"?{info.raw_query}" if info.raw_query else "")
    return Response(301, b"", b"", ((b"Location", location.encode()),))


def target_path(call: Call) -> str:
    """The path at the proxied server, decoded, with the slash at its end that the request had."""
    path = "/" + call.info.rest
    return path + "/" if call.info.path.endswith("/") and not path.endswith("/") else path


def is_special(address: str) -> bool:
    """Whether an address can be no pod's: on this machine alone, on this link, or of many."""
    ip = ipaddress.ip_address(address)
    return ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified


def split_name(text: str, kind: str) -> tuple[str, str, str]:
    """Scheme, name and port of ``[scheme:]name[:port]``. Raises 400."""
    parts = text.split(":")
    if len(parts) == 1 and text:
        return "", text, ""
    if len(parts) == 2 and parts[0]:
        name, port = parts
        return "", name, port
    if len(parts) == 3 and parts[0] in ("", "http", "https") and parts[1]:
        scheme, name, port = parts
        return scheme, name, port
    raise bad_request(f'invalid {kind} request "{text}"')


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
