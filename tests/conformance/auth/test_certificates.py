"""The CertificateSigningRequest API: discovery, every verb, the subresources approval and status."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "/apis/certificates.k8s.io"
REQUESTS = f"{GROUP}/v1/certificatesigningrequests"
SIGNER = "example.com/e2e-certificates"
OURS = f"{REQUESTS}?fieldSelector=spec.signerName%3D{SIGNER}"
MERGE = "application/merge-patch+json"


def request() -> dict[str, Any]:
    """A request for a serving certificate of a signer that nobody is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "e2e.example.com")])
    names = x509.SubjectAlternativeName([x509.DNSName("e2e.example.com")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
    pem = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": {"generateName": "e2e-example-csr-"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": SIGNER,
            "expirationSeconds": 3600,
            "usages": ["digital signature", "key encipherment", "server auth"],
        },
    }


async def merge(api: RawClient, path: str, patch: Any) -> Any:
    done = await api("PATCH", path, patch, content_type=MERGE)
    assert done.status == 200, done.body
    return done.tree


async def put(api: RawClient, path: str, tree: Any) -> Any:
    done = await api("PUT", path, tree)
    assert done.status == 200, done.body
    return done.tree


async def test_discovery_has_requests_and_their_subresources(api: RawClient) -> None:
    groups = (await api("GET", "/apis")).tree["groups"]
    found = next(each for each in groups if each["name"] == "certificates.k8s.io")
    assert "v1" in [each["version"] for each in found["versions"]]
    assert "v1" in [each["version"] for each in (await api("GET", GROUP)).tree["versions"]]
    names = {each["name"] for each in (await api("GET", f"{GROUP}/v1")).tree["resources"]}
    stem = "certificatesigningrequests"
    assert {stem, f"{stem}/approval", f"{stem}/status"} <= names


async def test_requests_support_every_operation(api: RawClient) -> None:
    made = [await api("POST", REQUESTS, request()) for _ in range(3)]
    assert [each.status for each in made] == [201] * 3
    created = made[2].tree
    path = f"{REQUESTS}/{created['metadata']['name']}"
    gotten = (await api("GET", path)).tree
    assert (gotten["metadata"]["uid"], gotten["spec"]["expirationSeconds"]) == (created["metadata"]["uid"], 3600)
    listed = (await api("GET", OURS)).tree
    assert len(listed["items"]) == 3
    version, name = listed["metadata"]["resourceVersion"], created["metadata"]["name"]
    watch = await api.watch(f"{REQUESTS}?watch=true&resourceVersion={version}&fieldSelector=metadata.name%3D{name}")
    patched = await merge(api, path, {"metadata": {"annotations": {"patched": "true"}}})
    assert patched["metadata"]["annotations"] == {"patched": "true"}
    patched["metadata"]["annotations"]["updated"] = "true"
    assert (await put(api, path, patched))["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
    event = await watch.next()
    assert (event["type"], event["object"]["metadata"]["annotations"]) == ("MODIFIED", {"patched": "true"})
    event = await watch.next()
    assert (event["type"], event["object"]["metadata"]["annotations"]["updated"]) == ("MODIFIED", "true")
    watch.close()

    await approvals(api, path, created["metadata"]["uid"])
    await statuses(api, path, created["metadata"]["uid"])

    assert (await api("DELETE", path)).status == 200
    assert (await api("GET", path)).status == 404
    assert len((await api("GET", OURS)).tree["items"]) == 2
    assert (await api("DELETE", OURS)).status == 200
    assert (await api("GET", OURS)).tree["items"] == []


async def approvals(api: RawClient, path: str, uid: str) -> None:
    """The subresource approval: read, patched, written."""
    gotten = (await api("GET", f"{path}/approval")).tree
    assert (gotten["apiVersion"], gotten["kind"]) == ("certificates.k8s.io/v1", "CertificateSigningRequest")
    assert gotten["metadata"]["uid"] == uid
    condition = {"type": "ApprovalPatch", "status": "True", "reason": "e2e"}
    change = {"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [condition]}}
    patched = await merge(api, f"{path}/approval", change)
    assert [each["type"] for each in patched["status"]["conditions"]] == ["ApprovalPatch"]
    assert patched["metadata"]["annotations"]["patchedapproval"] == "true"
    approved = {"type": "Approved", "status": "True", "reason": "E2E", "message": "Set from an e2e test"}
    patched["status"]["conditions"].append(approved)
    updated = await put(api, f"{path}/approval", patched)
    assert [each["type"] for each in updated["status"]["conditions"]] == ["ApprovalPatch", "Approved"]


async def statuses(api: RawClient, path: str, uid: str) -> None:
    """The subresource status: read, patched, written."""
    gotten = (await api("GET", f"{path}/status")).tree
    assert (gotten["kind"], gotten["metadata"]["uid"]) == ("CertificateSigningRequest", uid)
    certificate = base64.b64encode(api.server.config.certificate.read_bytes()).decode()
    change = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": certificate}}
    patched = await merge(api, f"{path}/status", change)
    assert patched["status"]["certificate"] == certificate
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    told = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from an e2e test"}
    patched["status"]["conditions"].append(told)
    updated = await put(api, f"{path}/status", patched)
    assert [each["type"] for each in updated["status"]["conditions"]] == ["ApprovalPatch", "Approved", "StatusUpdate"]
