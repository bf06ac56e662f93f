"""Secrets: a certificate and the key that should be its own.

Source: upstream's strategy of secrets, which says what Go's tls.X509KeyPair finds wrong.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_BORDER = re.compile(rb"-----(BEGIN|END) (.*)-----\s*")
_CERTIFICATE = "CERTIFICATE"
_KEY = "PRIVATE KEY"

#: A block's kind and what is in it.
_Block = tuple[str, bytes]


def secret(new: v1.Secret, old: v1.Secret | None) -> Iterator[str]:
    """A secret for TLS whose key is not the certificate's."""
    if new.type == "kubernetes.io/tls":
        wrong = _wrong_with_pair(_blocks(new.data.get("tls.crt", "")), _blocks(new.data.get("tls.key", "")))
        if wrong:
            yield wrong


def _wrong_with_pair(certificates: Sequence[_Block], keys: Sequence[_Block]) -> str:
    certificate = next((block for block in certificates if block[0] == _CERTIFICATE), None)
    if certificate is None:
        return _no_certificate([kind for kind, _ in certificates])
    key = next((block for block in keys if block[0] == _KEY or block[0].endswith(f" {_KEY}")), None)
    if key is None:
        return _no_key([kind for kind, _ in keys])
    return _wrong_with_key(certificate[1], key)


def _no_certificate(found: Sequence[str]) -> str:
    if not found:
        return "tls: failed to find any PEM data in certificate input"
    if len(found) == 1 and found[0].endswith(_KEY):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; "
            "PEM inputs may have been switched"
        )
    return (
        f'tls: failed to find "{_CERTIFICATE}" PEM block in certificate input after skipping PEM blocks '
        f"of the following types: [{' '.join(found)}]"
    )


def _no_key(found: Sequence[str]) -> str:
    if not found:
        return "tls: failed to find any PEM data in key input"
    if list(found) == [_CERTIFICATE]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return (
        f'tls: failed to find PEM block with type ending in "{_KEY}" in key input after skipping PEM blocks '
        f"of the following types: [{' '.join(found)}]"
    )


def _wrong_with_key(certificate: bytes, key: _Block) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        theirs = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate"
    if not isinstance(theirs, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return "tls: unknown public key algorithm"
    try:
        ours = load_der_private_key(key[1], password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    if type(ours) is not type(theirs):
        return "tls: private key type does not match public key type"
    return "" if ours == theirs else "tls: private key does not match public key"


def _blocks(text: str) -> Sequence[_Block]:
    """The PEM blocks of a base64 text; what cannot be read is passed over, as Go passes over it."""
    found: list[_Block] = []
    opened: bytes | None = None
    content: list[bytes] = []
    for line in _decoded(text).splitlines():
        border = _BORDER.fullmatch(line)
        if border is None:
            if opened is not None and b":" not in line:
                content.append(line.strip())
        elif border[1] == b"BEGIN":
            opened, content = border[2], []
        else:
            inside = _decoded(b"".join(content)) if opened == border[2] else None
            if inside or (inside is not None and not any(content)):
                found.append((border[2].decode(errors="replace"), inside))
            opened = None
    return found


def _decoded(text: str | bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
