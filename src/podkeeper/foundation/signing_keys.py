"""The key pair with which tokens are signed (RFC 7515): the key's kind decides the algorithm."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class SigningKey:
    """The cluster's key pair for tokens; the algorithm follows from the kind of key."""

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self.public: PublicKey = private.public_key()
        self.algorithm = "ES256" if isinstance(private, ec.EllipticCurvePrivateKey) else "RS256"
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
        return jwt.encode(claims, self._private, self.algorithm, headers={"kid": self.key_id})


def key_id(public: PublicKey) -> str:
    """Upstream's key id: the unpadded base64url SHA-256 of the key's DER."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
