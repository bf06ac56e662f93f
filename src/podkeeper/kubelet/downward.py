"""The downward API: what a pod may learn about itself, for environment variables and volumes alike.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.pods import container_named
from podkeeper.kubelet.resources import shared_limits

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']*)'\]$")


class UnsupportedField(ValueError):
    """A field path that the downward API does not know."""


class NodeFacts(Struct, frozen=True):
    """What values fall back to: the node's addresses and allocatable resources."""

    name: str
    ips: tuple[str, ...]
    allocatable: Mapping[str, Quantity] = field(default_factory=dict)


def field_value(pod: v1.Pod, path: str, node: NodeFacts, pod_ips: tuple[str, ...]) -> str:
    """The value of a fieldRef."""
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        source = pod.metadata.labels if subscript[1] == "labels" else pod.metadata.annotations
        return source.get(subscript[2], "")
    values = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": node.ips[0] if node.ips else "",
        "status.hostIPs": ",".join(node.ips),
        "status.podIP": pod_ips[0] if pod_ips else "",
        "status.podIPs": ",".join(pod_ips),
    }
    if path in values:
        return values[path]
    if path in ("metadata.labels", "metadata.annotations"):
        return format_map(pod.metadata.labels if path.endswith("labels") else pod.metadata.annotations)
    raise UnsupportedField(f"unsupported fieldPath: {path}")


def format_map(entries: Mapping[str, str]) -> str:
    """One ``key="value"`` per line in order of keys, the value escaped as Go's %q."""
    return "\n".join(f"{key}={_quoted(entries[key])}" for key in sorted(entries))


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(each, each) for each in text) + '"'


def resource_value(pod: v1.Pod, selector: v1.ResourceFieldSelector, container_name: str, node: NodeFacts) -> str:
    """The value of a resourceFieldRef: divided by its divisor and rounded up; a limit that is not set is the pod's,
    else the node's."""
    name = selector.container_name or container_name
    container = container_named(pod, name)
    if container is None:
        raise UnsupportedField(f"container {name} not found")
    kind, _, resource = selector.resource.partition(".")
    if kind not in ("limits", "requests") or not resource:
        raise UnsupportedField(f"unsupported container resource: {selector.resource}")
    amount = _amount(container, kind, resource, node, shared_limits(pod))
    return str(_divide(amount, selector.divisor, resource))


def _amount(
    container: v1.Container, kind: str, resource: str, node: NodeFacts, shared: Mapping[str, Quantity]
) -> Quantity:
    resources = container.resources
    if kind == "requests":
        return resources.requests.get(resource) or Quantity("0")
    limit = resources.limits.get(resource) or shared.get(resource)
    if limit is None and resource in ("cpu", "memory", "ephemeral-storage"):
        limit = node.allocatable.get(resource)
    return limit or Quantity("0")


def _divide(amount: Quantity, divisor: Quantity, resource: str) -> int:
    unit = divisor if divisor > Quantity("0") else Quantity("1")
    if resource == "cpu":
        return -(-amount.milli_value() // unit.milli_value())
    return -(-amount.value() // unit.value())
