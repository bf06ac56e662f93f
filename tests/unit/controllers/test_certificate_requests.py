"""CertificateSigningRequests from kubectl's approval to the certificate and the end of both."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from podkeeper.api import timestamps
from podkeeper.api.certificates import v1
from podkeeper.controllers.certificates import cleaning
from podkeeper.controllers.certificates.approving import CertificateApproval
from podkeeper.controllers.certificates.cleaning import CertificateCleaning
from podkeeper.controllers.certificates.conditions import to_be_signed, with_condition
from podkeeper.controllers.certificates.signing import CertificateSigning, lifetime
from podkeeper.controllers.certificates.usages import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    Asked,
    objection,
)
from podkeeper.controllers.framework import Key
from podkeeper.foundation.certificates import new_private_key
from podkeeper.testing.fake_clock import FakeClock

USAGES = ("digital signature", "key encipherment", "client auth")


def csr(common_name: str, organization: str = "dev", dns: tuple[str, ...] = ()) -> str:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in dns])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(new_private_key(), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def request(name: str, pem: str, signer: str = CLIENT, **spec: Any) -> v1.CertificateSigningRequest:
    return msgspec.convert(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {"request": pem, "signerName": signer, "usages": list(USAGES)} | spec,
        },
        v1.CertificateSigningRequest,
    )


async def answered(house: Any, name: str, what: Any) -> v1.CertificateSigningRequest:
    found = await house.until(
        v1.CertificateSigningRequest, lambda there: any(each.metadata.name == name and what(each) for each in there)
    )
    return next(each for each in found if each.metadata.name == name)


async def test_what_is_approved_is_signed(house: Any) -> None:
    requests = house.api.of(v1.CertificateSigningRequest)
    house.start(lambda tools: CertificateSigning(tools, house.server.authority.pair))
    created = await requests.create(request("jane", csr("jane"), expirationSeconds=3600))
    await requests.update(with_condition(created, "Approved", "Checked", "", 0), subresource="approval")
    found = await answered(house, "jane", lambda each: each.status.certificate)
    certificate = x509.load_pem_x509_certificate(base64.b64decode(found.status.certificate))
    authority = x509.load_pem_x509_certificate(house.server.authority.certificate_pem())
    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "jane"
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 3600 <= life.total_seconds() <= 3605
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in extended] == ["1.3.6.1.5.5.7.3.2"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


async def test_what_a_signer_does_not_sign_fails_in_words(house: Any) -> None:
    requests = house.api.of(v1.CertificateSigningRequest)
    house.start(lambda tools: CertificateSigning(tools, house.server.authority.pair))
    created = await requests.create(request("odd", csr("odd"), usages=["server auth"]))
    await requests.update(with_condition(created, "Approved", "Checked", "", 0), subresource="approval")
    found = await answered(house, "odd", lambda each: len(each.status.conditions) > 1)
    (failed,) = [each for each in found.status.conditions if each.type == "Failed"]
    assert (failed.reason, failed.message) == (
        "SignerValidationFailure",
        "invalid usage for client certificate: server auth",
    )
    assert not found.status.certificate
    assert not to_be_signed(found)


async def test_conditions_get_their_times(house: Any) -> None:
    requests = house.api.of(v1.CertificateSigningRequest)
    created = await requests.create(request("bare", csr("bare")))
    condition = v1.CertificateSigningRequestCondition(type="Denied", status="True", reason="No")
    status = msgspec.structs.replace(created.status, conditions=(condition,))
    denied = await requests.update(msgspec.structs.replace(created, status=status), subresource="approval")
    (found,) = denied.status.conditions
    assert found.last_update_time == found.last_transition_time != ""


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_nodes_own_request_is_approved_where_rbac_says_so(house: Any, allowed: bool) -> None:
    from podkeeper.client.config import ClientConfig
    from podkeeper.client.rest import RestApi

    user, group = "system:node:n1", "system:nodes"
    if allowed:
        await house.api.request(
            "POST",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            body=msgspec.json.encode(
                {
                    "metadata": {"name": "renew"},
                    "roleRef": {
                        "apiGroup": "rbac.authorization.k8s.io",
                        "kind": "ClusterRole",
                        "name": "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
                    },
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
                }
            ),
        )
    pair = house.server.client_pair(user, (group,))
    ca = house.server.authority.certificate_pem()
    config = ClientConfig(house.server.url, ca, pair.certificate.read_bytes(), pair.key.read_bytes())
    node = RestApi(config)
    try:
        await node.of(v1.CertificateSigningRequest).create(request("n1", csr(user, group), KUBELET_CLIENT))
    finally:
        await node.close()
    controller = CertificateApproval(house.tools())
    await house.settled(Key("", "n1"), controller, v1.CertificateSigningRequest)
    found = await house.api.of(v1.CertificateSigningRequest).get("n1")
    assert [each.reason for each in found.status.conditions] == (["AutoApproved"] if allowed else [])


NODE = Asked("system:node:n1", ("system:nodes",))


@pytest.mark.parametrize(
    ("signer", "asked", "usages", "why"),
    [
        (CLIENT, Asked("x"), ("client auth",), ""),
        (CLIENT, Asked("x"), ("digital signature",), "missing required usage for client certificate: client auth"),
        (KUBELET_CLIENT, NODE, USAGES, ""),
        (KUBELET_CLIENT, NODE, ("digital signature", "client auth"), ""),
        (
            KUBELET_CLIENT,
            Asked("n1", ("system:nodes",)),
            USAGES,
            "subject common name does not begin with system:node:",
        ),
        (KUBELET_CLIENT, Asked("system:node:a", ("dev",)), USAGES, "subject organization is not system:nodes"),
        (
            KUBELET_CLIENT,
            Asked("system:node:a", ("system:nodes",), ("x",)),
            USAGES,
            "DNS subjectAltNames are not allowed",
        ),
        (KUBELET_SERVING, NODE, ("digital signature", "server auth"), "DNS or IP subjectAltName is required"),
        (KUBELET_SERVING, Asked(), (), "subject organization is not system:nodes"),
    ],
)
def test_what_signers_sign(signer: str, asked: Asked, usages: tuple[str, ...], why: str) -> None:
    assert objection(signer, asked, usages) == why


def test_how_long_certificates_live() -> None:
    assert [lifetime(each) for each in (None, 60, 3600, 1 << 30)] == [31536000, 600, 3600, 31536000]


@pytest.mark.parametrize(
    ("conditions", "after"), [((), 86400), (("Denied",), 3600), (("Failed",), 3600), (("Approved",), 86400)]
)
def test_when_requests_end(conditions: tuple[str, ...], after: int) -> None:
    found = request("x", "")
    created = msgspec.structs.replace(found.metadata, creation_timestamp=timestamps.format_time(1000))
    found = msgspec.structs.replace(found, metadata=created)
    for kind in conditions:
        found = with_condition(found, kind, "", "", 1000)
    assert cleaning.ends(found) == 1000 + after


async def test_a_request_that_nobody_answers_goes_after_a_day(house: Any) -> None:
    requests = house.api.of(v1.CertificateSigningRequest)
    created = await requests.create(request("old", csr("old")))
    clock = FakeClock(timestamps.parse(created.metadata.creation_timestamp))
    controller, key = CertificateCleaning(house.tools(clock)), Key("", "old")
    assert await house.settled(key, controller, v1.CertificateSigningRequest) == cleaning.PENDING
    await clock.advance(cleaning.PENDING)
    await controller.reconcile(key)
    assert list((await requests.list()).items) == []
