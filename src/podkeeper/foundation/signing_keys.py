"""The key pair with which tokens are signed (RFC 7515): the key's kind decides the algorithm."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

#: Algorithm and JSON name by curve.
_CURVES = {"secp256r1": ("ES256", "P-256"), "secp384r1": ("ES384", "P-384"), "secp521r1": ("ES512", "P-521")}
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class SigningKey:
    """The cluster's key pair for tokens; the algorithm follows from the kind of key."""

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self.public: PublicKey = private.public_key()
        self.algorithm = algorithm(self.public)
        self.key_id = key_id(self.public)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """The key in a PEM file. Raises ValueError for a key of another kind."""
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"{path}: a service-account key must be RSA or elliptic-curve")
        return cls(key)

    def sign(self, claims: dict[str, Any]) -> str:
        """The claims as a signed token."""
        import jwt  # few processes that have the key sign with it at once

        return jwt.encode(claims, self._private, self.algorithm, headers={"kid": self.key_id})


def algorithm(public: PublicKey) -> str:
    """The algorithm of a key's signatures. Raises ValueError for a curve that tokens are not signed with."""
    if isinstance(public, rsa.RSAPublicKey):
        return "RS256"
    if public.curve.name not in _CURVES:
        raise ValueError(f"tokens are not signed with keys on the curve {public.curve.name}")
    return _CURVES[public.curve.name][0]


def public_keys(path: Path) -> Sequence[PublicKey]:
    """All keys in a PEM file, of private keys and certificates the public part. Raises ValueError."""
    found = []
    for match in _PEM.finditer(path.read_bytes()):
        key = _public(match[0])
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise ValueError(f"{path}: a service-account key must be RSA or elliptic-curve")
        algorithm(key)
        found.append(key)
    if not found:
        raise ValueError(f"{path}: data does not contain any valid RSA or ECDSA public keys")
    return found


def public_jwk(public: PublicKey) -> dict[str, Any]:
    """The key as a JSON Web Key (RFC 7517)."""
    head: dict[str, Any] = {"use": "sig", "kid": key_id(public), "alg": algorithm(public)}
    if isinstance(public, rsa.RSAPublicKey):
        parts = public.public_numbers()
        return head | {"kty": "RSA", "n": _number(parts.n), "e": _number(parts.e)}
    numbers, size = public.public_numbers(), (public.curve.key_size + 7) // 8
    curve = _CURVES[public.curve.name][1]
    return head | {"kty": "EC", "crv": curve, "x": _number(numbers.x, size), "y": _number(numbers.y, size)}


def _public(block: bytes) -> Any:
    if b"CERTIFICATE" in block:
        from cryptography.x509 import load_pem_x509_certificate  # few name certificates

        return load_pem_x509_certificate(block).public_key()
    if b"PUBLIC KEY" in block:
        return serialization.load_pem_public_key(block)
    return serialization.load_pem_private_key(block, password=None).public_key()


def _number(value: int, size: int = 0) -> str:
    data = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_id(public: PublicKey) -> str:
    """Upstream's key id: the unpadded base64url SHA-256 of the key's DER."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
