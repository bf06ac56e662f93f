"""The node authorizer: a kubelet reads only what pods on its node refer to and writes only its own objects.

Source: https://kubernetes.io/docs/reference/access-authn-authz/node/. Pods on a node come from the registry's index
by node name; a pod's bytes are searched for the object's name before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authorization.rules import Rule, compile_rules
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.registry.verbs import ListOptions

_PREFIX = "system:node:"
_GROUP = "system:nodes"
_LEASES = "kube-node-lease"
_READS = frozenset({"get", "list", "watch"})

Verdict = tuple[bool, str]


def node_name(user: UserInfo) -> str:
    """The node that a user is, empty if none."""
    if _GROUP not in user.groups or not user.name.startswith(_PREFIX):
        return ""
    return user.name.removeprefix(_PREFIX)


class NodeAuthorizer:
    """Answers (allowed, why not). What it does not allow RBAC may still allow."""

    def __init__(self, live: LiveObjects, role: Mapping[str, Any]) -> None:
        """``role`` is the ClusterRole system:node, whose rules hold for every node without a binding."""
        self._live = live
        self._rules: tuple[Rule, ...] = compile_rules(role)

    async def decide(self, user: UserInfo, info: RequestInfo) -> Verdict:
        """Judges a request of a member of system:nodes."""
        node = node_name(user)
        if not node:
            return False, f'unknown node for user "{user.name}"'
        if info.is_resource:
            judged = await self._decide_resource(node, info)
            if judged is not None:
                return judged
        return any(rule.allows(info) for rule in self._rules), ""

    async def _decide_resource(self, node: str, info: RequestInfo) -> Verdict | None:
        """A verdict of the graph, None where only the fixed rules count."""
        match info.group, info.resource:
            case "", "secrets" | "configmaps":
                return await self._read_referenced(node, info)
            case "", "persistentvolumeclaims":
                return await self._decide_claim(node, info)
            case "", "persistentvolumes":
                return await self._read_one(node, info)
            case "storage.k8s.io", "volumeattachments":
                return await self._read_one(node, info)
            case "", "serviceaccounts" if not info.subresource:
                return await self._read_account(node, info)
            case "resource.k8s.io", "resourceslices":
                return await self._decide_slice(node, info)
            case "", "serviceaccounts" if info.subresource == "token":
                return await self._create_token(node, info)
            case "resource.k8s.io", "resourceclaims":
                return await self._read_referenced(node, info)
            case "coordination.k8s.io", "leases":
                return _own(node, info, _LEASES, ("get", "create", "update", "patch", "delete"))
            case "storage.k8s.io", "csinodes":
                return _own(node, info, "", ("get", "create", "update", "patch", "delete"))
            case "", "nodes" if info.verb in ("get", "list", "watch"):
                return _read_node(node, info)
            case "", "pods":
                return await self._decide_pod(node, info)
        return None

    async def _decide_claim(self, node: str, info: RequestInfo) -> Verdict:
        if info.subresource == "status":
            if info.verb not in ("update", "patch"):
                return False, "can only get/update/patch this type"
            return await self._referenced(node, info)
        return await self._read_one(node, info)

    async def _decide_pod(self, node: str, info: RequestInfo) -> Verdict | None:
        if info.subresource or info.verb not in _READS:
            return None
        if info.verb != "get" and _selects(info, "spec.nodeName", node):
            return None
        if info.name:  # also one that is only selected by its name
            pod = await self._live.get("", "pods", info.namespace, info.name)
            mine = pod is not None and pod.get("spec", {}).get("nodeName") == node
            return mine, "" if mine else _unrelated(node)
        return False, "can only list/watch pods with spec.nodeName field selector"

    async def _read_referenced(self, node: str, info: RequestInfo) -> Verdict:
        if info.verb not in _READS:
            return False, "can only read resources of this type"
        if info.subresource:
            return False, "cannot read subresource"
        if not info.namespace:
            return False, "can only read namespaced object of this type"
        return await self._referenced(node, info)

    async def _read_account(self, node: str, info: RequestInfo) -> Verdict:
        if info.verb != "get" or not info.name:
            return False, "can only get individual service accounts"
        return await self._referenced(node, info)

    async def _decide_slice(self, node: str, info: RequestInfo) -> Verdict:
        if info.subresource:
            return False, "cannot authorize ResourceSlice subresources"
        match info.verb:
            case "create":
                return True, ""  # whose node it names is in its body: NodeRestriction checks that
            case "get" | "update" | "patch" | "delete":
                found = await self._live.get("resource.k8s.io", "resourceslices", "", info.name)
                mine = found is not None and found.get("spec", {}).get("nodeName") == node
                return mine, "" if mine else _unrelated(node)
            case "list" | "watch" | "deletecollection":
                if _selects(info, "spec.nodeName", node):
                    return True, ""
                return False, "can only list/watch/deletecollection resourceslices with nodeName field selector"
        verbs = "get, watch, list, create, update, patch, delete, deletecollection"
        return False, f"only the following verbs are allowed for a ResourceSlice: {verbs}"

    async def _read_one(self, node: str, info: RequestInfo) -> Verdict:
        if info.verb != "get":
            return False, "can only get individual resources of this type"
        return await self._referenced(node, info)

    async def _create_token(self, node: str, info: RequestInfo) -> Verdict:
        if info.verb != "create" or not info.name:
            return False, "can only create tokens for individual service accounts"
        return await self._referenced(node, info)

    async def _referenced(self, node: str, info: RequestInfo) -> Verdict:
        if info.subresource and (info.resource, info.subresource) not in (
            ("serviceaccounts", "token"),
            ("persistentvolumeclaims", "status"),
        ):
            return False, "cannot get subresource"
        if not info.name:
            return False, "No Object name found"
        if info.resource == "persistentvolumes":
            found = await self._volume_referenced(node, info.name)
        elif info.resource == "volumeattachments":
            tree = await self._live.get("storage.k8s.io", "volumeattachments", "", info.name)
            found = tree is not None and tree.get("spec", {}).get("nodeName") == node
        else:
            found = await self._pod_refers(node, info.resource, info.namespace, info.name)
            if not found and info.resource == "secrets":
                found = await self._secret_of_volume(node, info.namespace, info.name)
        return found, "" if found else _unrelated(node)

    async def _pod_refers(self, node: str, resource: str, namespace: str, name: str) -> bool:
        selection = ListOptions(field_selector=f"spec.nodeName={node}")
        listing = await self._live.verbs("", "pods").list(namespace, selection)
        needle = f'"{name}"'.encode()
        for item in listing.items:
            if resource == "persistentvolumeclaims" or needle in item.json:
                pod = item.tree()
                if (resource, name) in references(pod):
                    return True
        return False

    async def _secret_of_volume(self, node: str, namespace: str, name: str) -> bool:
        """Whether a volume that a pod of the node claims needs the Secret to be mounted."""
        needle = f'"{name}"'.encode()
        listing = await self._live.verbs("", "persistentvolumes").list("", ListOptions())
        items = [item for item in listing.items if needle in item.json]
        volumes = [item.name for item in items if (namespace, name) in volume_secrets(item.tree())]
        return any([await self._volume_referenced(node, volume) for volume in volumes])

    async def _volume_referenced(self, node: str, name: str) -> bool:
        volume = await self._live.get("", "persistentvolumes", "", name)
        claim = (volume or {}).get("spec", {}).get("claimRef") or {}
        if not claim.get("name"):
            return False
        return await self._pod_refers(node, "persistentvolumeclaims", claim.get("namespace", ""), claim["name"])


def _unrelated(node: str) -> str:
    return f"no relationship found between node '{node}' and this object"


def _selects(info: RequestInfo, field: str, value: str) -> bool:
    """Whether the field selector asks for nothing but this value of a field."""
    return f"{field}={value}" in info.first("fieldSelector").replace("==", "=").split(",")


def _read_node(node: str, info: RequestInfo) -> Verdict:
    if info.name == node:
        return True, ""
    what = f"'{info.name}'" if info.name else "all nodes"
    return False, f"node '{node}' cannot read {what}, only its own Node object"


def _own(node: str, info: RequestInfo, namespace: str, verbs: tuple[str, ...]) -> Verdict:
    what = {"leases": "node lease", "csinodes": "CSINode"}[info.resource]
    if info.verb not in verbs:
        return False, f"can only {', '.join(verbs[:-1])}, or {verbs[-1]} a {what}"
    if info.subresource:
        return False, f"cannot authorize {what} subresources"
    if namespace and info.namespace != namespace:
        return False, f'can only access leases in the "{namespace}" system namespace'
    # The name of an object that is being created is in its body: NodeRestriction checks that.
    if info.verb != "create" and info.name != node:
        return False, f"can only access {what} with the same name as the requesting node"
    return True, ""


def references(pod: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What a pod refers to, as (resource, name) pairs of its own namespace."""
    spec = pod.get("spec") or {}
    found = {("serviceaccounts", spec.get("serviceAccountName") or "")}
    found |= {("secrets", each.get("name", "")) for each in spec.get("imagePullSecrets") or ()}
    for volume in spec.get("volumes") or ():
        found |= set(_volume_references(pod, volume))
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            found |= set(_environment_references(container))
    for claim in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        found.add(("resourceclaims", claim.get("resourceClaimName") or ""))
    for claim in spec.get("resourceClaims") or ():
        found.add(("resourceclaims", claim.get("resourceClaimName") or ""))
    return {(resource, name) for resource, name in found if name}


def _volume_references(pod: Mapping[str, Any], volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
        if source.get("secret"):
            yield "secrets", source["secret"].get("secretName") or source["secret"].get("name", "")
        if source.get("configMap"):
            yield "configmaps", source["configMap"].get("name", "")
    if volume.get("persistentVolumeClaim"):
        yield "persistentvolumeclaims", volume["persistentVolumeClaim"].get("claimName", "")
    if volume.get("ephemeral"):
        yield "persistentvolumeclaims", f"{pod['metadata']['name']}-{volume['name']}"
    for value in volume.values():
        if isinstance(value, Mapping):
            for field in ("secretRef", "nodePublishSecretRef"):
                yield "secrets", (value.get(field) or {}).get("name", "")


def volume_secrets(volume: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The Secrets (namespace, name) that a PersistentVolume names; one without namespace is in its claim's."""
    spec = volume.get("spec") or {}
    home = (spec.get("claimRef") or {}).get("namespace", "")
    found = set()
    for source in spec.values():
        for field, value in source.items() if isinstance(source, Mapping) else ():
            if isinstance(value, Mapping) and field.lower().endswith("secretref"):
                found.add((value.get("namespace") or home, value.get("name", "")))
            elif field == "secretName" and value:
                found.add((source.get("secretNamespace") or home, value))
    return found


def _environment_references(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield "secrets", (source.get("secretKeyRef") or {}).get("name", "")
        yield "configmaps", (source.get("configMapKeyRef") or {}).get("name", "")
    for source in container.get("envFrom") or ():
        yield "secrets", (source.get("secretRef") or {}).get("name", "")
        yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
