"""A certificate authority in a directory: keys are P-256 (fast to make, accepted everywhere), files are PEM."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from podkeeper.foundation.keyfiles import KeyPair, write_private, write_public

YEAR = datetime.timedelta(days=365)
CLOCK_SKEW = datetime.timedelta(minutes=5)


def new_private_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key in PKCS#8 PEM, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """A self-signed CA kept as ``NAME.crt`` and ``NAME.key``; ``open`` makes it on first use."""

    def __init__(self, pair: KeyPair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.pair, self._certificate, self._key = pair, certificate, key

    @classmethod
    def open(cls, directory: Path, name: str = "ca", common_name: str = "podkeeper-ca") -> Authority:
        """Loads the CA from ``directory`` or makes one that is valid for ten years."""
        pair = KeyPair(directory / f"{name}.crt", directory / f"{name}.key")
        if not (pair.certificate.exists() and pair.key.exists()):
            _make_authority(pair, common_name)
        key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{pair.key}: expected an elliptic-curve key; remove it to have a new CA made")
        return cls(pair, x509.load_pem_x509_certificate(pair.certificate.read_bytes()), key)

    def certificate_pem(self) -> bytes:
        """The CA certificate that clients trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue_server(
        self, pair: KeyPair, common_name: str, names: Sequence[str], *, organizations: Sequence[str] = ()
    ) -> None:
        """Makes a serving certificate for DNS ``names`` and addresses, unless the present one covers them still."""
        if not self._covers(pair, common_name, names):
            self._issue(pair, common_name, organizations, names, (ExtendedKeyUsageOID.SERVER_AUTH,))

    def issue_client(self, pair: KeyPair, common_name: str, organizations: Sequence[str] = ()) -> None:
        """Makes a client certificate (user name = common name, groups = organizations), unless there is one still."""
        if not self._covers(pair, common_name, ()):
            self._issue(pair, common_name, organizations, (), (ExtendedKeyUsageOID.CLIENT_AUTH,))

    def _covers(self, pair: KeyPair, common_name: str, names: Sequence[str]) -> bool:
        if not (pair.certificate.exists() and pair.key.exists()):
            return False
        present = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        found = present.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        renewal = present.not_valid_after_utc - YEAR / 4
        if present.issuer != self._certificate.subject or not found or found[0].value != common_name:
            return False
        if datetime.datetime.now(datetime.UTC) > renewal:
            return False
        try:
            present.verify_directly_issued_by(self._certificate)
        except Exception:  # noqa: BLE001 - any way to fail means that another CA signed it
            return False
        return {_alternative(name) for name in names} <= _alternatives(present)

    def _issue(
        self,
        pair: KeyPair,
        common_name: str,
        organizations: Sequence[str],
        names: Sequence[str],
        usages: Sequence[x509.ObjectIdentifier],
    ) -> None:
        key, now = new_private_key(), datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name, organizations))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + YEAR)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        write_private(pair.key, private_key_pem(key))
        write_public(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _alternatives(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _make_authority(pair: KeyPair, common_name: str) -> None:
    key, now = new_private_key(), datetime.datetime.now(datetime.UTC)
    name = _name(common_name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + 10 * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True, key_encipherment=True, signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(pair.key, private_key_pem(key))
    write_public(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _key_usage(*, digital_signature: bool, key_encipherment: bool, signs: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
