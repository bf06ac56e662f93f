"""CertificateSigningRequests: what is asked for, who approves it, and the certificate.

Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from podkeeper.api.certificates import v1 as certificates

    Condition = certificates.CertificateSigningRequestCondition

_MIN_EXPIRATION = 600
_LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
_APPROVALS = ("Approved", "Denied")
_LASTING = (*_APPROVALS, "Failed")
_STATUSES = ("False", "True", "Unknown")
_SIGNER = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
_MAX_SIGNER_PATH = 317
_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)


def certificate_request(found: Found, obj: certificates.CertificateSigningRequest) -> None:
    """A new request for a certificate."""
    spec = obj.spec
    if why := _wrong_with_request(spec.request):
        found.invalid("spec.request", spec.request, why)
    if not spec.usages:
        found.required("spec.usages")
    for path, usage in indexed("spec.usages", spec.usages):
        if usage not in _USAGES:
            found.unsupported(path, usage, _USAGES)
    for index, usage in enumerate(spec.usages):
        if usage in spec.usages[:index]:
            found.duplicate(f"spec.usages[{index}]", usage)
    if spec.signer_name == _LEGACY_SIGNER:
        found.invalid("spec.signerName", spec.signer_name, "the legacy signerName is not allowed via this API version")
    else:
        signer_name(found, "spec.signerName", spec.signer_name)
    seconds = spec.expiration_seconds
    if seconds is not None and seconds < _MIN_EXPIRATION:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        found.invalid("spec.expirationSeconds", seconds, why)


def certificate_request_update(
    found: Found, new: certificates.CertificateSigningRequest, old: certificates.CertificateSigningRequest
) -> None:
    """What was asked for stays; the registry sees to that."""
    found.unchanged("spec", new.spec, old.spec)


def approval_update(
    found: Found, new: certificates.CertificateSigningRequest, old: certificates.CertificateSigningRequest
) -> None:
    """``approval``: a request is approved or denied, once."""
    _conditions(found, new.status.conditions)
    _lasting(found, new.status.conditions, old.status.conditions)


def status_update(
    found: Found, new: certificates.CertificateSigningRequest, old: certificates.CertificateSigningRequest
) -> None:
    """``status``: the certificate is set, once."""
    after, before = new.status, old.status
    _conditions(found, after.conditions)
    changed = after.certificate != before.certificate
    if changed and after.certificate and (why := _wrong_with_certificate(after.certificate)):
        found.invalid("status.certificate", "<certificate data>", why)
    _lasting(found, after.conditions, before.conditions)
    for name in _APPROVALS:
        if _count(after.conditions, name) > _count(before.conditions, name):
            found.forbidden("status.conditions", f'updates may not add a condition of type "{name}"')
    if before.certificate and changed:
        found.forbidden("status.certificate", "updates may not modify existing certificate content")


def signer_name(found: Found, at: str, name: str) -> None:
    """A domain and a path of dotted names."""
    if not name:
        found.required(at)
        return
    parts = name.split("/")
    if len(parts) != 2:
        found.invalid(at, name, _SIGNER)
        return
    domain, path = parts
    for message in names.dns_subdomain(domain):
        found.invalid(at, name, f'validating label "{domain}": {message}')
    if "." not in domain:
        found.invalid(at, name, "should be a domain with at least two segments separated by dots")
    if len(path) > _MAX_SIGNER_PATH:
        found.too_long(at, _MAX_SIGNER_PATH)
    for label in path.split("."):
        for message in names.dns_label(label):
            found.invalid(at, name, f'validating label "{label}": {message}')


def _conditions(found: Found, conditions: Sequence[Condition]) -> None:
    seen: set[str] = set()
    for path, condition in indexed("status.conditions", conditions):
        if not condition.type:
            found.required(f"{path}.type")
        allowed = ("True",) if condition.type in _LASTING else _STATUSES
        found.one_of(f"{path}.status", condition.status, allowed)
        if condition.type in _APPROVALS and seen & (set(_APPROVALS) - {condition.type}):
            found.invalid(f"{path}.type", condition.type, "Approved and Denied conditions are mutually exclusive")
        if condition.type in seen:
            found.duplicate(f"{path}.type", condition.type)
        seen.add(condition.type)


def _lasting(found: Found, new: Sequence[Condition], old: Sequence[Condition]) -> None:
    for name in _LASTING:
        if _count(new, name) < _count(old, name):
            found.forbidden("status.conditions", f'updates may not remove a condition of type "{name}"')


def _count(conditions: Sequence[Condition], name: str) -> int:
    return sum(each.type == name for each in conditions)


def _wrong_with_request(request: str) -> str:
    """Why the base64 text is no PEM block of a PKCS #10 request that its own key has signed."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    pem = _decoded(request)
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        parsed = x509.load_pem_x509_csr(pem)
        signed = parsed.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        return str(error)
    return "" if signed else "x509: signature verification failed"


def _wrong_with_certificate(certificate: str) -> str:
    from cryptography import x509

    pem = _decoded(certificate)
    for line in pem.splitlines():
        if line.startswith(b"-----BEGIN ") and line.strip() != b"-----BEGIN CERTIFICATE-----":
            kind = line.strip().removeprefix(b"-----BEGIN ").removesuffix(b"-----").decode(errors="replace")
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind}"'
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return "must contain at least one CERTIFICATE PEM block"
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        return str(error)
    return ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:  # decoding the object has checked it; only a caller in the house comes by here
        return b""
