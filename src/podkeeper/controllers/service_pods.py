"""Which pods stand behind a service, and on which of their ports it reaches them. Pure, but for the map of changes.

Source: https://kubernetes.io/docs/concepts/services-networking/service/.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.api.pods.phase import is_terminal
from podkeeper.api.pods.requests import is_sidecar
from podkeeper.client.informer import Lister
from podkeeper.controllers.framework import Key

HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def is_headless(service: v1.Service) -> bool:
    """Whether clients get the pods' own addresses."""
    return service.spec.cluster_ip == "None"


def families(service: v1.Service) -> Sequence[str]:
    """``IPv4`` and ``IPv6`` as the service wants them, the first one first."""
    if service.spec.ip_families:
        return service.spec.ip_families
    return ("IPv6",) if ":" in service.spec.cluster_ip else ("IPv4",)


def is_listed(pod: v1.Pod, *, terminating: bool) -> bool:
    """Whether the pod can be an endpoint at all; ``terminating``: those on their way out can too."""
    if is_terminal(pod) or not addresses(pod):
        return False
    return terminating or not pod.metadata.deletion_timestamp


def addresses(pod: v1.Pod) -> Sequence[str]:
    """The pod's addresses, the primary one first."""
    listed = tuple(each.ip for each in pod.status.pod_ips if each.ip) if pod.status else ()
    return listed or ((pod.status.pod_ip,) if pod.status and pod.status.pod_ip else ())


def addresses_of_family(pod: v1.Pod, family: str) -> tuple[str, ...]:
    """The pod's addresses of one family."""
    version = 6 if family == "IPv6" else 4
    return tuple(each for each in addresses(pod) if ipaddress.ip_address(each).version == version)


def target_port(pod: v1.Pod, port: v1.ServicePort) -> int | None:
    """The number of the pod's port; None when the pod has none of that name and protocol."""
    target = port.target_port if port.target_port not in (None, "", 0) else port.port
    if isinstance(target, int):
        return target
    sidecars = (each for each in pod.spec.init_containers if is_sidecar(each))
    for container in (*pod.spec.containers, *sidecars):
        for each in container.ports:
            if each.name == target and (each.protocol or "TCP") == (port.protocol or "TCP"):
                return each.container_port
    return None


def hostname(pod: v1.Pod, service: v1.Service) -> str:
    """The name that DNS gives the pod under the service; empty if none."""
    return pod.spec.hostname if pod.spec.subdomain == service.metadata.name else ""


def trigger_time(service: v1.Service, pods: Iterable[v1.Pod]) -> str:
    """When the newest change happened that endpoints tell of: a pod became ready or not, or the service came."""
    moments = [service.metadata.creation_timestamp]
    for pod in pods:
        ready = conditions.find(pod.status.conditions, "Ready") if pod.status else None
        moments.append(ready.last_transition_time if ready else "")
    return max(filter(None, moments), key=timestamps.parse, default="")


def services_of(services: Lister[v1.Service], *pods: v1.Pod | None) -> set[Key]:
    """The services that select one of these states of a pod."""
    return {
        Key(pod.metadata.namespace, service.metadata.name)
        for pod in pods
        if pod is not None
        for service in services.list(pod.metadata.namespace)
        if service.spec.selector and service.spec.selector.items() <= pod.metadata.labels.items()
    }


def selected(service: v1.Service, pods: Lister[v1.Pod]) -> list[v1.Pod]:
    """The pods that the service's selector means."""
    wanted = service.spec.selector.items()
    return [pod for pod in pods.list(service.metadata.namespace) if wanted <= pod.metadata.labels.items()]
