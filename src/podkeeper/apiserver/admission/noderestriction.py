"""NodeRestriction: a kubelet writes its own node, lease, CSINode and the pods bound to it, and nothing else.

Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.apiserver.admission.serviceaccount import MIRROR
from podkeeper.apiserver.authorization.node import node_name, references
from podkeeper.registry.admission import Attributes, Operation

Tree = Mapping[str, Any]

_RESTRICTED = "node-restriction.kubernetes.io/"
#: Labels in kubernetes.io and k8s.io that a kubelet may set on its node.
_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_KUBELET_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")


class NodeRestriction(Plugin):
    """Judges what nodes write."""

    interest = interest(
        "CREATE UPDATE DELETE",
        "/pods",
        "/pods/status",
        "/pods/eviction",
        "/pods/resize",
        "/nodes",
        "/nodes/status",
        "/serviceaccounts/token",
        "coordination.k8s.io/leases",
        "storage.k8s.io/csinodes",
    )

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for what is none of the node's business."""
        node = node_name(attributes.user)
        if not node:
            return
        why = await self._objection(node, attributes)
        if why:
            raise forbidden(attributes, why)

    async def _objection(self, node: str, attributes: Attributes) -> str:
        resource = attributes.resource.name
        if resource == "pods":
            return await self._judge_pod(node, attributes)
        if resource == "nodes":
            return _judge_node(node, attributes)
        if resource == "serviceaccounts":
            return await self._judge_token(node, attributes)
        if resource == "leases":
            return _judge_lease(node, attributes)
        if resource == "csinodes" and _name(attributes) != node:
            return "can only access CSINode with the same name as the requesting node"
        return ""

    async def _judge_pod(self, node: str, attributes: Attributes) -> str:
        if attributes.subresource == "status":
            return _judge_pod_status(node, attributes)
        if attributes.subresource == "eviction":
            pod = await self.live.get("", "pods", attributes.namespace, attributes.name)
            mine = pod is None or _node_of(pod) == node
            return "" if mine else f'node "{node}" can only evict pods with spec.nodeName set to itself'
        if attributes.operation is Operation.CREATE:
            assert attributes.tree is not None
            return _judge_mirror_pod(node, attributes.tree)
        if attributes.operation is Operation.DELETE:
            mine = attributes.old is None or _node_of(attributes.old) == node
            return "" if mine else f'node "{node}" can only delete pods with spec.nodeName set to itself'
        return f'unexpected operation "{attributes.operation}"'

    async def _judge_token(self, node: str, attributes: Attributes) -> str:
        if attributes.subresource != "token" or attributes.tree is None:
            return ""
        reference = (attributes.tree.get("spec") or {}).get("boundObjectRef") or {}
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not reference.get("name"):
            return "node requested token not bound to a pod"
        if not reference.get("uid"):
            return "node requested token with a pod binding without a uid"
        pod = await self.live.get("", "pods", attributes.namespace, reference["name"])
        if pod is None or pod["metadata"]["uid"] != reference["uid"]:
            return "the UID in the bound object reference does not match the UID in record"
        if _node_of(pod) != node:
            return "node requested token bound to a pod scheduled on a different node"
        return ""


def _judge_mirror_pod(node: str, pod: Tree) -> str:
    metadata = pod["metadata"]
    if MIRROR not in (metadata.get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if _node_of(pod) != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    owners = metadata.get("ownerReferences") or ()
    if len(owners) > 1:
        return f'node "{node}" can only create pods with a single owner reference set to itself'
    for owner in owners:
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            return f'node "{node}" can only create pods with an owner reference set to itself'
    for resource, what in (
        ("secrets", "secrets"),
        ("configmaps", "configmaps"),
        ("persistentvolumeclaims", "persistentvolumeclaims"),
        ("serviceaccounts", "a service account"),
    ):
        if any(found == resource for found, _ in references(pod)):
            return f'node "{node}" can not create pods that reference {what}'
    return ""


def _judge_pod_status(node: str, attributes: Attributes) -> str:
    old, new = attributes.old, attributes.tree
    if attributes.operation is not Operation.UPDATE or old is None or new is None:
        return f'unexpected operation "{attributes.operation}"'
    if _node_of(old) != node:
        what = "update pod status for"
        return f'node "{node}" can only {what} pods with spec.nodeName set to itself'
    if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
        return f'node "{node}" cannot update labels through pod status'
    return ""


def _judge_node(node: str, attributes: Attributes) -> str:
    name = _name(attributes)
    if name != node:
        return f'node "{node}" is not allowed to modify node "{name}"'
    if attributes.operation is Operation.DELETE:
        return ""
    assert attributes.tree is not None
    labels = attributes.tree["metadata"].get("labels") or {}
    if attributes.operation is Operation.CREATE:
        wrong = _forbidden_labels(labels)
        return f"is not allowed to set the following labels: {', '.join(sorted(wrong))}" if wrong else ""
    old = attributes.old or {}
    before = (old.get("metadata") or {}).get("labels") or {}
    changed = {key for key in {*labels, *before} if labels.get(key) != before.get(key)}
    wrong = _forbidden_labels(changed)
    if wrong:
        return f"is not allowed to modify labels: {', '.join(sorted(wrong))}"
    if (attributes.tree.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
        return f'node "{node}" is not allowed to modify taints'
    return ""


def _forbidden_labels(labels: Any) -> set[str]:
    return {label for label in labels if not _label_allowed(label)}


def _label_allowed(label: str) -> bool:
    prefix, slash, _ = label.partition("/")
    if not slash:
        return True
    if prefix == _RESTRICTED[:-1] or prefix.endswith(f".{_RESTRICTED[:-1]}"):
        return False
    system = any(prefix == each or prefix.endswith(f".{each}") for each in ("kubernetes.io", "k8s.io"))
    own = any(prefix == each or prefix.endswith(f".{each}") for each in _KUBELET_NAMESPACES)
    return not system or own or label in _KUBELET_LABELS


def _judge_lease(node: str, attributes: Attributes) -> str:
    if attributes.namespace != "kube-node-lease":
        return 'can only access leases in the "kube-node-lease" system namespace'
    if _name(attributes) != node:
        return "can only access node lease with the same name as the requesting node"
    return ""


def _name(attributes: Attributes) -> str:
    return str(attributes.name or ((attributes.tree or {}).get("metadata") or {}).get("name", ""))


def _node_of(pod: Tree) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")
