"""NodeRestriction: a kubelet writes its own node, lease, CSINode and the pods bound to it, and nothing else.

Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

import base64
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
_NODE_SIGNERS = ("kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving")
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
        "/persistentvolumeclaims/status",
        "resource.k8s.io/resourceslices",
        "certificates.k8s.io/certificatesigningrequests",
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
        if resource == "persistentvolumeclaims":
            return _judge_claim_status(node, attributes)
        if resource == "resourceslices":
            return _judge_slice(node, attributes)
        if resource == "certificatesigningrequests":
            return _judge_certificate_request(attributes)
        return ""

    async def _judge_pod(self, node: str, attributes: Attributes) -> str:
        if attributes.subresource == "status":
            return _judge_pod_status(node, attributes)
        if attributes.subresource == "eviction":
            pod = await self.live.get("", "pods", attributes.namespace, attributes.name)
            mine = pod is None or _node_of(pod) == node
            return "" if mine else f"node {node} can only evict pods with spec.nodeName set to itself"
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
            why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            return why + "The object might have been deleted and then recreated"
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
        listed = ", ".join(sorted(wrong))
        return f'node "{node}" is not allowed to set the following labels: {listed}' if wrong else ""
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


def _judge_claim_status(node: str, attributes: Attributes) -> str:
    """A node reports how far the growth of a volume has come, and nothing else."""
    if attributes.operation is not Operation.UPDATE or attributes.old is None or attributes.tree is None:
        return f'unexpected operation "{attributes.operation.value}"'
    if _without_growth(attributes.old) == _without_growth(attributes.tree):
        return ""
    return f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'


def _without_growth(claim: Tree) -> Tree:
    metadata = {
        key: value for key, value in claim["metadata"].items() if key not in ("resourceVersion", "managedFields")
    }
    reported = ("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources")
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in reported}
    return {**claim, "metadata": metadata, "status": status}


def _judge_slice(node: str, attributes: Attributes) -> str:
    tree = attributes.old if attributes.operation is Operation.DELETE else attributes.tree
    if tree is None or (tree.get("spec") or {}).get("nodeName") == node:
        return ""
    verb = attributes.operation.value.lower()
    return f"can only {verb} ResourceSlice with the same NodeName as the requesting node"


def _judge_certificate_request(attributes: Attributes) -> str:
    """A node asks for certificates in its own name alone."""
    spec = (attributes.tree or {}).get("spec") or {}
    if attributes.operation is not Operation.CREATE or spec.get("signerName") not in _NODE_SIGNERS:
        return ""
    names = certificate_names(str(spec.get("request", "")))
    if names is None:
        return "unable to parse csr"
    user = attributes.user.name
    return "" if names == [user] else f"can only create a node CSR with CN={user}"


def certificate_names(request: str) -> list[str] | None:
    """The common names in a certificate request (PEM in base64), None if it is none."""
    from cryptography import x509  # few requests are these
    from cryptography.x509.oid import NameOID

    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request))
    except ValueError:
        return None
    return [str(each.value) for each in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


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
