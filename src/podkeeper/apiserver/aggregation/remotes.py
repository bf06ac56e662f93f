"""What an APIService object says of the server behind it, and whether that can be reached. Pure.

Source: https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/ and upstream's
availability controller.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.apiserver.streaming.service_endpoints import ready_endpoints

Tree = Mapping[str, Any]

GROUP, RESOURCE, AVAILABLE = "apiregistration.k8s.io", "apiservices", "Available"
_HTTPS = 443


class Remote(Struct, frozen=True):
    """One group and version that another server answers. ``ca`` is PEM; empty for the system's own authorities."""

    name: str
    group: str
    version: str
    namespace: str
    service: str
    port: int
    ca: str
    insecure: bool
    group_priority: int
    version_priority: int

    @property
    def path(self) -> str:
        """Where its discovery is."""
        return f"/apis/{self.group}/{self.version}"

    @property
    def server_name(self) -> str:
        """The name that its certificate must have."""
        return f"{self.service}.{self.namespace}.svc"


class Finding(Struct, frozen=True):
    """The Available condition as it is to be."""

    status: str
    reason: str
    message: str


PASSED = Finding("True", "Passed", "all checks passed")


def remote_of(tree: Tree) -> Remote | None:
    """None for what this server answers itself."""
    spec = tree.get("spec") or {}
    service = spec.get("service")
    if not service:
        return None
    return Remote(
        name=tree["metadata"]["name"],
        group=spec.get("group") or "",
        version=spec.get("version") or "",
        namespace=service.get("namespace") or "",
        service=service.get("name") or "",
        port=service.get("port") or _HTTPS,
        ca=base64.b64decode(spec.get("caBundle") or "").decode("utf-8", "replace"),
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        group_priority=spec.get("groupPriorityMinimum") or 0,
        version_priority=spec.get("versionPriority") or 0,
    )


def is_available(tree: Tree) -> bool:
    """What the object's condition says."""
    found = (tree.get("status") or {}).get("conditions") or ()
    return any(each["type"] == AVAILABLE and each["status"] == "True" for each in found)


def fault(remote: Remote, service: Tree | None, slices: Sequence[Tree]) -> Finding | None:
    """Why nobody needs to be asked; None when there is somebody to ask."""
    place = f'service/{remote.service} in "{remote.namespace}"'
    if service is None:
        return Finding("False", "ServiceNotFound", f"{place} is not present")
    spec = service.get("spec") or {}
    if spec.get("type", "ClusterIP") != "ClusterIP":
        return None
    port = next((each for each in spec.get("ports") or () if each.get("port") == remote.port), None)
    if port is None:
        return Finding("False", "ServicePortError", f"{place} is not listening on port {remote.port}")
    if not slices:
        return Finding("False", "EndpointsNotFound", f"cannot find endpointslices for {place}")
    name = port.get("name") or ""
    if not any(ready_endpoints(each, name) for each in slices):
        why = f'endpointslices for {place} have no addresses with port name "{name}"'
        return Finding("False", "MissingEndpoints", why)
    return None


def with_finding(tree: Tree, finding: Finding, now: str) -> dict[str, Any] | None:
    """The status with the condition set; None when it says so already."""
    present = (tree.get("status") or {}).get("conditions") or ()
    old = next((each for each in present if each["type"] == AVAILABLE), None)
    said = {"type": AVAILABLE, "status": finding.status, "reason": finding.reason, "message": finding.message}
    if old is not None and all(old.get(key) == value for key, value in said.items()):
        return None
    same = old is not None and old["status"] == finding.status
    condition = said | {"lastTransitionTime": old["lastTransitionTime"] if old is not None and same else now}
    return {"conditions": [*(each for each in present if each["type"] != AVAILABLE), condition]}
