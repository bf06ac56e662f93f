"""What a node may read and write: its own, and what pods on it refer to. In upstream's words."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from podkeeper.apiserver.authorization.escalation import Permission, described
from podkeeper.apiserver.authorization.node import NodeAuthorizer, volume_secrets
from podkeeper.apiserver.bootstrap.policy import cluster_role
from podkeeper.apiserver.handlers.reviews import field_selector
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.requestinfo import parse

pytestmark = pytest.mark.asyncio(loop_scope="module")

POD = {
    "metadata": {"name": "web"},
    "spec": {
        "nodeName": "n1",
        "containers": [{"name": "c", "image": "i", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}
VOLUME = {
    "metadata": {"name": "pv1"},
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": "default", "name": "data"},
        "csi": {"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": {"name": "mount", "namespace": "storage"}},
    },
}
UNRELATED = "no relationship found between node 'n1' and this object"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(api: Any) -> NodeAuthorizer:
    assert (await api("POST", "/api/v1/persistentvolumes", VOLUME)).status == 201
    assert (await api("POST", "/api/v1/namespaces/default/pods", POD)).status == 201
    return NodeAuthorizer(LiveObjects(api.server.registry), cluster_role("system:node"))


NS = "/api/v1/namespaces/default"


@pytest.mark.parametrize(
    ("method", "path", "allowed", "why"),
    [
        ("GET", "/api/v1/nodes/n1", True, ""),
        ("GET", "/api/v1/nodes/n2", False, "node 'n1' cannot read 'n2', only its own Node object"),
        ("GET", "/api/v1/nodes", False, "node 'n1' cannot read all nodes, only its own Node object"),
        ("GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dn1&watch=1", True, ""),
        ("GET", f"{NS}/configmaps/settings", True, ""),
        ("GET", f"{NS}/configmaps/other", False, UNRELATED),
        ("GET", f"{NS}/configmaps", False, "No Object name found"),
        ("GET", "/api/v1/configmaps", False, "can only read namespaced object of this type"),
        ("DELETE", f"{NS}/secrets/x", False, "can only read resources of this type"),
        ("GET", "/api/v1/persistentvolumes/pv1", True, ""),
        ("GET", "/api/v1/persistentvolumes", False, "can only get individual resources of this type"),
        ("GET", "/api/v1/namespaces/storage/secrets/mount", True, ""),
        ("GET", "/api/v1/namespaces/storage/secrets/other", False, UNRELATED),
        ("GET", f"{NS}/persistentvolumeclaims/data", True, ""),
        ("PUT", f"{NS}/persistentvolumeclaims/data/status", True, ""),
        ("GET", f"{NS}/serviceaccounts/default", True, ""),
        ("GET", f"{NS}/serviceaccounts", False, "can only get individual service accounts"),
        ("POST", f"{NS}/serviceaccounts/default/token", True, ""),
        ("POST", f"{NS}/serviceaccounts/other/token", False, UNRELATED),
        ("GET", f"{NS}/pods/web", True, ""),
        ("GET", f"{NS}/pods/elsewhere", False, UNRELATED),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", True, ""),
        ("GET", "/api/v1/pods", False, "can only list/watch pods with spec.nodeName field selector"),
        ("GET", f"{NS}/pods?fieldSelector=metadata.name%3Dweb&watch=1", True, ""),
        ("GET", f"{NS}/pods?fieldSelector=metadata.name%3Dother", False, UNRELATED),
        ("GET", "/apis/storage.k8s.io/v1/volumeattachments/a", False, UNRELATED),
        ("GET", "/apis/storage.k8s.io/v1/csinodes/n1", True, ""),
        (
            "GET",
            "/apis/storage.k8s.io/v1/csinodes/n2",
            False,
            "can only access CSINode with the same name as the requesting node",
        ),
        (
            "GET",
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2",
            False,
            "can only access node lease with the same name as the requesting node",
        ),
        (
            "GET",
            "/apis/coordination.k8s.io/v1/namespaces/default/leases/n1",
            False,
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        ("POST", "/apis/resource.k8s.io/v1/resourceslices", True, ""),
        ("GET", "/apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.nodeName%3Dn1", True, ""),
        ("DELETE", "/apis/resource.k8s.io/v1/resourceslices/x", False, UNRELATED),
        ("GET", "/apis/apps/v1/deployments", False, ""),
        ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", True, ""),
    ],
)
async def test_what_a_node_may(node: NodeAuthorizer, method: str, path: str, allowed: bool, why: str) -> None:
    from podkeeper.api.user import UserInfo

    user = UserInfo("system:node:n1", groups=("system:nodes",))
    assert await node.decide(user, parse(method, path.encode())) == (allowed, why)


async def test_a_group_member_without_a_node_is_nobody(node: NodeAuthorizer) -> None:
    from podkeeper.api.user import UserInfo

    user = UserInfo("someone", groups=("system:nodes",))
    assert await node.decide(user, parse("GET", b"/api/v1/nodes/n1")) == (False, 'unknown node for user "someone"')


async def as_node(api: Any, *request: Any, **headers: str) -> Any:
    return await api(*request, pair=api.server.client_pair("system:node:n1", ("system:nodes",)), **headers)


async def test_a_node_writes_resource_slices_of_its_own_alone(api: Any) -> None:
    path = "/apis/resource.k8s.io/v1/resourceslices"
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}

    def slice_(name: str, node: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"nodeName": node, "driver": "d.example.com", "pool": pool}}

    assert (await as_node(api, "POST", path, slice_("mine", "n1"))).status == 201
    refused = await as_node(api, "POST", path, slice_("theirs", "n2"))
    assert refused.message.endswith("can only create ResourceSlice with the same NodeName as the requesting node")
    assert (await as_node(api, "DELETE", f"{path}/mine")).status == 200


async def test_a_node_asks_for_certificates_in_its_own_name(api: Any) -> None:
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    from podkeeper.foundation.certificates import new_private_key

    def body(common_name: str) -> dict[str, Any]:
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(new_private_key(), hashes.SHA256())
        pem = base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()
        usages = ["digital signature", "client auth"]
        spec = {"request": pem, "signerName": "kubernetes.io/kube-apiserver-client-kubelet", "usages": usages}
        return {"metadata": {"name": common_name.rpartition(":")[2]}, "spec": spec}

    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    assert (await as_node(api, "POST", path, body("system:node:n1"))).status == 201
    refused = await as_node(api, "POST", path, body("system:node:n2"))
    assert refused.message.endswith("can only create a node CSR with CN=system:node:n1")


async def test_a_node_tells_of_a_volumes_growth_and_nothing_else(api: Any) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert (await api("POST", f"{NS}/persistentvolumeclaims", claim)).status == 201
    path, kind = f"{NS}/persistentvolumeclaims/data/status", {"content_type": "application/merge-patch+json"}
    grown = {"status": {"capacity": {"storage": "2Gi"}}}
    assert (await as_node(api, "PATCH", path, grown, **kind)).status == 200
    refused = await as_node(api, "PATCH", path, {"metadata": {"labels": {"a": "b"}}}, **kind)
    why = 'node "n1" is not allowed to update fields other than status.capacity and status.conditions'
    assert (refused.status, why in refused.message) == (403, True)


async def test_secrets_of_volumes_are_in_their_own_or_the_claims_namespace() -> None:
    claim = {"namespace": "a", "name": "c"}
    assert volume_secrets({"spec": {"claimRef": claim, "azureFile": {"secretName": "s"}}}) == {("a", "s")}
    assert volume_secrets(VOLUME) == {("storage", "mount")}


async def test_reviews_may_name_selectors(api: Any) -> None:
    def review(**attributes: Any) -> dict[str, Any]:
        resource = {"verb": "list", "resource": "pods", **attributes}
        return {"spec": {"user": "system:node:n1", "groups": ["system:nodes"], "resourceAttributes": resource}}

    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    mine = {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n1"]}]}
    reply = await api("POST", path, review(fieldSelector=mine))
    assert reply.tree["status"]["allowed"] is True
    assert reply.tree["spec"]["resourceAttributes"]["fieldSelector"] == mine
    other = {"rawSelector": "spec.nodeName=n2"}
    assert (await api("POST", path, review(fieldSelector=other))).tree["status"]["allowed"] is False
    for selector, why in (
        ({}, "when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required"),
        (mine | {"rawSelector": "a=b"}, "may not specified at the same time as requirements"),
    ):
        reply = await api("POST", path, review(fieldSelector=selector))
        assert (reply.status, why in reply.message) == (422, True)


async def test_what_a_request_cannot_say_is_left_out_of_a_selector() -> None:
    several = [{"key": "a", "operator": "In", "values": ["x", "y"]}, {"key": "b", "operator": "NotIn", "values": ["z"]}]
    assert field_selector({"requirements": several}) == "b!=z"


async def test_a_refusal_to_escalate_lists_verbs_together() -> None:
    missing = [
        Permission("list", "", "pods"),
        Permission("get", "apps", "deployments", "web"),
        Permission("watch", "", "pods"),
        Permission("get", path="/metrics"),
    ]
    assert described(missing).splitlines() == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
        '{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["web"], Verbs:["get"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]
