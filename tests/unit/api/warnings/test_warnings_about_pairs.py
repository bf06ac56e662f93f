"""A secret for TLS whose key is not its certificate's is taken, and it is said in Go's words what is wrong."""

from __future__ import annotations

import base64
import datetime
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from podkeeper.api import codec, warnings
from podkeeper.api.core import v1
from podkeeper.api.resources import for_kind

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def certificate(key: Key) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    building = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    building = building.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    digest = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return building.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def pem(key: Key, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


KEY, OTHER, EDWARDS = (
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP256R1()),
    (ed25519.Ed25519PrivateKey.generate()),
)
CERTIFICATE = certificate(KEY)
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
BAD_KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
BAD_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SWITCHED = (
    "tls: failed to find certificate PEM data in certificate input, but did find a private key; "
    "PEM inputs may have been switched"
)
NO_CERTIFICATE = (
    'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following '
    "types: [EC PARAMETERS PRIVATE KEY]"
)
NO_KEY = (
    'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the '
    "following types: [CERTIFICATE EC PARAMETERS]"
)


def said(crt: bytes, key: bytes, kind: str = "kubernetes.io/tls") -> list[str]:
    resource = for_kind("", "v1", "Secret")
    assert resource is not None
    data: dict[str, Any] = {"tls.crt": base64.b64encode(crt).decode(), "tls.key": base64.b64encode(key).decode()}
    new = codec.from_tree(v1.Secret, {"metadata": {"name": "x"}, "type": kind, "data": data})
    return list(warnings.of(resource, new, new))


@pytest.mark.parametrize("key", [KEY, EDWARDS])
def test_a_pair_is_fine(key: Key) -> None:
    assert said(certificate(key), pem(key)) == []


def test_what_stands_before_is_passed_over() -> None:
    old_form = pem(KEY, serialization.PrivateFormat.TraditionalOpenSSL)
    assert said(PARAMETERS + b"text\r\n" + CERTIFICATE.replace(b"\n", b"\r\n"), PARAMETERS + old_form) == []


def test_other_secrets_are_not_looked_at() -> None:
    assert said(b"", b"", "Opaque") == []


@pytest.mark.parametrize(
    ("crt", "key", "expected"),
    [
        (b"", b"", "tls: failed to find any PEM data in certificate input"),
        (pem(KEY), CERTIFICATE, SWITCHED),
        (PARAMETERS + pem(KEY), pem(KEY), NO_CERTIFICATE),
        (CERTIFICATE, b"x", "tls: failed to find any PEM data in key input"),
        (CERTIFICATE, CERTIFICATE, "tls: found a certificate rather than a key in the PEM for the private key"),
        (CERTIFICATE, CERTIFICATE + PARAMETERS, NO_KEY),
        (BAD_CERTIFICATE, pem(KEY), "x509: malformed certificate"),
        (CERTIFICATE, BAD_KEY, "tls: failed to parse private key"),
        (CERTIFICATE, pem(EDWARDS), "tls: private key type does not match public key type"),
        (CERTIFICATE, pem(OTHER), "tls: private key does not match public key"),
    ],
)
def test_what_is_wrong(crt: bytes, key: bytes, expected: str) -> None:
    assert said(crt, key) == [expected]


def test_a_megabyte_of_beginnings_is_read_once() -> None:
    start = time.process_time()
    assert said(b"-----BEGIN CERTIFICATE-----\n" * 36_000, b"") == [
        "tls: failed to find any PEM data in certificate input"
    ]
    assert time.process_time() - start < 2
