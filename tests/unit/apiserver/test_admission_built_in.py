"""Plugins of the default set that judge storage, certificates, topology and secrets, over a whole API server."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.admission.podnodeselector import PodNodeSelector
from podkeeper.apiserver.config import AdmissionConfig
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes, Operation

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULT = "/api/v1/namespaces/default"
CERTIFICATES = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
MERGE = "application/merge-patch+json"


async def test_only_bound_claims_of_willing_classes_grow(api: Any) -> None:
    for name, grows in (("rigid", False), ("elastic", True)):
        body = {"metadata": {"name": name}, "provisioner": "example.com/p", "allowVolumeExpansion": grows}
        await api("POST", "/apis/storage.k8s.io/v1/storageclasses", body)
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": name,
        }
        await api("POST", f"{DEFAULT}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": spec})
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    path = f"{DEFAULT}/persistentvolumeclaims"
    pending = await api("PATCH", f"{path}/elastic", more, content_type=MERGE)
    assert pending.status in (403, 422)
    for name in ("rigid", "elastic"):
        await api("PATCH", f"{path}/{name}", {"spec": {"volumeName": "v"}}, content_type=MERGE)
        await api("PATCH", f"{path}/{name}/status", {"status": {"phase": "Bound"}}, content_type=MERGE)
    rigid = await api("PATCH", f"{path}/rigid", more, content_type=MERGE)
    assert rigid.message == (
        'persistentvolumeclaims "rigid" is forbidden: only dynamically provisioned pvc can be resized and '
        "the storageclass that provisions the pvc must support resize"
    )
    assert (await api("PATCH", f"{path}/elastic", more, content_type=MERGE)).status == 200


async def test_a_bound_pod_carries_its_nodes_topology(api: Any, make_pod: Any) -> None:
    labels = {"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1", "other": "o"}
    await api("POST", "/api/v1/nodes", {"metadata": {"name": "zoned", "labels": labels}})
    await api("POST", f"{DEFAULT}/pods", make_pod("placed"))
    binding = {"metadata": {"name": "placed"}, "target": {"kind": "Node", "name": "zoned"}}
    assert (await api("POST", f"{DEFAULT}/pods/placed/binding", binding)).status == 201
    found = (await api("GET", f"{DEFAULT}/pods/placed")).tree["metadata"]["labels"]
    assert found == {"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1"}


def signing_request(name: str, *groups: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def certificate_request(name: str, *groups: str, signer: str = "kubernetes.io/kube-apiserver-client") -> Any:
    spec = {"request": signing_request(name, *groups), "signerName": signer, "usages": ["client auth"]}
    return {"metadata": {"name": name}, "spec": spec}


async def test_nobody_asks_to_become_a_master(api: Any) -> None:
    reply = await api("POST", CERTIFICATES, certificate_request("greedy", "system:masters"))
    assert (reply.status, reply.message) == (
        403,
        'certificatesigningrequests.certificates.k8s.io "greedy" is forbidden: '
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
    )
    assert (await api("POST", CERTIFICATES, certificate_request("modest", "devs"))).status == 201


async def allow(api: Any, user: str, *rules: Any) -> None:
    role = {"metadata": {"name": user}, "rules": list(rules)}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    path = "/apis/rbac.authorization.k8s.io/v1"
    await api("POST", f"{path}/clusterroles", role)
    binding = {"metadata": {"name": user}, "subjects": [subject], "roleRef": reference}
    assert (await api("POST", f"{path}/clusterrolebindings", binding)).status == 201


async def test_approving_takes_the_right_to_speak_for_the_signer(api: Any) -> None:
    await api("POST", CERTIFICATES, certificate_request("asked", signer="example.com/a"))
    csrs = {
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["certificatesigningrequests", "certificatesigningrequests/approval"],
        "verbs": ["*"],
    }
    signers = {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "verbs": ["approve"]}
    await allow(api, "nobody", csrs)
    await allow(api, "approver", csrs, signers | {"resourceNames": ["example.com/*"]})
    approved = {"type": "Approved", "status": "True", "reason": "r", "message": "m"}
    path, body = f"{CERTIFICATES}/asked/approval", {"status": {"conditions": [approved]}}
    nobody, approver = api.server.client_pair("nobody"), api.server.client_pair("approver")
    reply = await api("PATCH", path, body, pair=nobody, content_type=MERGE)
    assert (reply.status, reply.message) == (
        403,
        'certificatesigningrequests.certificates.k8s.io "asked" is forbidden: '
        'user not permitted to approve requests with signerName "example.com/a"',
    )
    assert (await api("PATCH", path, body, pair=approver, content_type=MERGE)).status == 200


async def test_an_account_can_limit_the_secrets_of_its_pods(api: Any, make_pod: Any) -> None:
    annotation = {"kubernetes.io/enforce-mountable-secrets": "true"}
    account = {"metadata": {"name": "tight", "annotations": annotation}, "secrets": [{"name": "known"}]}
    await api("POST", f"{DEFAULT}/serviceaccounts", account)

    def with_secret(name: str) -> Any:
        volume = {"name": "s", "secret": {"secretName": name}}
        return make_pod(name, serviceAccountName="tight", volumes=[volume])

    assert (await api("POST", f"{DEFAULT}/pods", with_secret("known"))).status == 201
    reply = await api("POST", f"{DEFAULT}/pods", with_secret("strange"))
    assert reply.message == (
        'pods "strange" is forbidden: volume with secret.secretName="strange" is not allowed because '
        "service account tight does not reference that secret"
    )


async def test_a_namespace_chooses_the_nodes_of_its_pods(api: Any) -> None:
    config = AdmissionConfig(node_selectors={"clusterDefaultNodeSelector": "env=dev", "picky": "env=dev"})
    plugin = PodNodeSelector(LiveObjects(api.server.registry), config)
    row = api.server.registry.verbs("", "v1", "pods").resource

    def attributes(**selector: str) -> Attributes:
        tree = {"metadata": {"name": "p"}, "spec": {"nodeSelector": selector}}
        return Attributes(Operation.CREATE, row, "picky", "p", UserInfo("u"), tree)

    given = attributes(disk="ssd")
    await plugin.mutate(given)
    assert given.tree is not None
    assert given.tree["spec"]["nodeSelector"] == {"disk": "ssd", "env": "dev"}
    with pytest.raises(ApiError, match="conflict with its namespace whitelist"):
        await plugin.validate(given)
    with pytest.raises(ApiError, match="conflicts with its namespace node label selector"):
        await plugin.mutate(attributes(env="prod"))


async def test_a_claim_may_not_grow_beyond_the_range(api: Any) -> None:
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "ranged"}})
    limits = [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}, "min": {"storage": "1Mi"}}]
    path = "/api/v1/namespaces/ranged"
    await api("POST", f"{path}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": limits}})
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "elastic",
        "volumeName": "v",
    }
    await api("POST", f"{path}/persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": spec})
    await api("PATCH", f"{path}/persistentvolumeclaims/c/status", {"status": {"phase": "Bound"}}, content_type=MERGE)
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    reply = await api("PATCH", f"{path}/persistentvolumeclaims/c", more, content_type=MERGE)
    assert reply.message == (
        'persistentvolumeclaims "c" is forbidden: '
        "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    )


async def test_immortal_namespaces(api: Any) -> None:
    reply = await api("DELETE", "/api/v1/namespaces/kube-system")
    assert reply.message == 'namespaces "kube-system" is forbidden: this namespace may not be deleted'
