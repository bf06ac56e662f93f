"""Reads certificate requests and signs them. Loaded with the first request: cryptography is large."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Collection, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from podkeeper.controllers.certificates.usages import Asked
from podkeeper.foundation.keyfiles import KeyPair

#: Clocks that are behind by this many seconds see a valid certificate; those that live shortly begin now.
BACKDATE, SHORT = 300, 8 * 3600
_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


class CannotSign(ValueError):
    """The request is none, or asks for what cannot be signed."""


def read(request: str) -> x509.CertificateSigningRequest:
    """A request as it is in ``spec.request``, its signature checked. Raises CannotSign."""
    try:
        found = x509.load_pem_x509_csr(base64.b64decode(request))
        valid = found.is_signature_valid
    except ValueError as error:
        raise CannotSign(f"unable to parse csr: {error}") from None
    if not valid:
        raise CannotSign("unable to verify certificate request signature")
    return found


def asked(request: x509.CertificateSigningRequest) -> Asked:
    """What a request names."""

    def names(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(each.value) for each in request.subject.get_attributes_for_oid(oid))

    try:
        alternatives = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        alternatives = x509.SubjectAlternativeName([])

    def named(kind: Any) -> tuple[str, ...]:
        return tuple(map(str, alternatives.get_values_for_type(kind)))

    common = names(NameOID.COMMON_NAME)
    return Asked(
        common[-1] if common else "",
        names(NameOID.ORGANIZATION_NAME),
        named(x509.DNSName),
        named(x509.IPAddress),
        named(x509.RFC822Name),
        named(x509.UniformResourceIdentifier),
    )


def expiry(certificate: str) -> float:
    """When the first certificate in ``status.certificate`` ends, in seconds since the epoch."""
    return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc.timestamp()


class Signer:
    """Signs with one authority's key."""

    def __init__(self, authority: KeyPair) -> None:
        """Raises OSError and ValueError."""
        key = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"{authority.key}: an authority's key must be RSA or elliptic-curve")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())

    def sign(self, request: x509.CertificateSigningRequest, usages: Collection[str], seconds: int, now: float) -> bytes:
        """A certificate (PEM) for what is asked, that ends ``seconds`` from ``now`` or with the authority."""
        begins = now - (BACKDATE if seconds >= SHORT else 0)
        ends = min(now + seconds, self._certificate.not_valid_after_utc.timestamp())
        if ends <= now:
            raise CannotSign("the signer has expired")
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_moment(begins))
            .not_valid_after(_moment(ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        for extension, critical in (*_usage_extensions(usages), *self._identities(request)):
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _identities(self, request: x509.CertificateSigningRequest) -> Sequence[tuple[x509.ExtensionType, bool]]:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        found: list[tuple[x509.ExtensionType, bool]] = [(authority, False)]
        try:
            alternatives = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return found
        return [*found, (alternatives.value, alternatives.critical)]


def _usage_extensions(usages: Collection[str]) -> Sequence[tuple[x509.ExtensionType, bool]]:
    unknown = sorted(set(usages) - set(_KEY_USAGES) - set(_EXTENDED))
    if unknown:
        raise CannotSign(f"unrecognized usage values: {unknown}")
    wanted = {_KEY_USAGES[each] for each in usages if each in _KEY_USAGES}
    found: list[tuple[x509.ExtensionType, bool]] = []
    if wanted:
        bits = {name: name in wanted for name in _KEY_USAGES.values()}
        found.append((x509.KeyUsage(**bits), True))
    extended = [_EXTENDED[each] for each in usages if each in _EXTENDED]
    if extended:
        found.append((x509.ExtendedKeyUsage(list(dict.fromkeys(extended))), False))
    return found


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
