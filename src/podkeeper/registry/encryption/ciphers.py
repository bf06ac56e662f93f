"""How values are hidden: one cipher a key, and the list of ciphers that a resource's values may be in.

A stored value begins with ``k8s:enc:PROVIDER:v1:KEY:``, as upstream's; what follows is a nonce and the ciphertext. The
object's key in the store is authenticated along with it where the cipher can: a value that is moved is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

PREFIX = b"k8s:enc:"


class CannotDecrypt(Exception):
    """No key reads the value."""


class Cipher(Protocol):
    """One provider with one key."""

    @property
    def name(self) -> str:
        """``aesgcm:key1``; ``identity``."""
        ...

    @property
    def prefix(self) -> bytes:
        """What its values begin with; empty for identity."""
        ...

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """The value for the object at ``place``, without the prefix."""
        ...

    def decrypt(self, hidden: bytes, place: bytes) -> bytes:
        """The opposite. Raises CannotDecrypt."""
        ...


class Identity(Struct, frozen=True):
    """Values as they are."""

    name: str = "identity"
    prefix: bytes = b""

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """See Cipher."""
        return plain

    def decrypt(self, hidden: bytes, place: bytes) -> bytes:
        """See Cipher."""
        if hidden.startswith(PREFIX):
            raise CannotDecrypt("identity transformer tried to read encrypted data")
        return hidden


class _Keyed:
    """A provider with a key. The secret never shows."""

    provider = ""

    def __init__(self, key: str, secret: bytes) -> None:
        self.name = f"{self.provider}:{key}"
        self.prefix = PREFIX + f"{self.provider}:v1:{key}:".encode()
        self._secret = secret

    def __repr__(self) -> str:
        return f"<{self.name}>"


class AesGcm(_Keyed):
    """AES-GCM with a random nonce of 96 bits: a key is good for some 4 thousand million writes."""

    provider = "aesgcm"

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """See Cipher."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        return nonce + AESGCM(self._secret).encrypt(nonce, plain, place)

    def decrypt(self, hidden: bytes, place: bytes) -> bytes:
        """See Cipher."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._secret).decrypt(hidden[:12], hidden[12:], place)
        except (InvalidTag, ValueError):
            raise CannotDecrypt(f"{self.name}: the value was written with another key or has been changed") from None


class AesCbc(_Keyed):
    """AES-CBC with PKCS#7 padding. It notices changed bytes by luck alone: kept for those who have values in it."""

    provider = "aescbc"

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """See Cipher."""
        from cryptography.hazmat.primitives.ciphers import Cipher as Block
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        nonce, rest = os.urandom(16), 16 - len(plain) % 16
        encryptor = Block(AES(self._secret), CBC(nonce)).encryptor()
        return nonce + encryptor.update(plain + bytes([rest]) * rest) + encryptor.finalize()

    def decrypt(self, hidden: bytes, place: bytes) -> bytes:
        """See Cipher."""
        from cryptography.hazmat.primitives.ciphers import Cipher as Block
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        if len(hidden) < 32 or len(hidden) % 16:
            raise CannotDecrypt("the stored data is not a multiple of the block size")
        decryptor = Block(AES(self._secret), CBC(hidden[:16])).decryptor()
        padded = decryptor.update(hidden[16:]) + decryptor.finalize()
        rest = padded[-1]
        if not 1 <= rest <= 16 or padded[-rest:] != bytes([rest]) * rest:
            raise CannotDecrypt(f"{self.name}: invalid padding on input")
        return padded[:-rest]


class Secretbox(_Keyed):
    """XSalsa20 and Poly1305 with a random nonce of 192 bits."""

    provider = "secretbox"

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """See Cipher."""
        from podkeeper.registry.encryption import secretbox

        nonce = os.urandom(secretbox.NONCE_BYTES)
        return nonce + secretbox.seal(self._secret, nonce, plain)

    def decrypt(self, hidden: bytes, place: bytes) -> bytes:
        """See Cipher."""
        from podkeeper.registry.encryption import secretbox

        size = secretbox.NONCE_BYTES
        try:
            return secretbox.open_(self._secret, hidden[:size], hidden[size:])
        except (secretbox.Forged, ValueError) as error:
            raise CannotDecrypt(f"{self.name}: {error}") from None


PROVIDERS = {each.provider: each for each in (AesGcm, AesCbc, Secretbox)}


class Keyring:
    """The ciphers of a resource: the first writes, all read."""

    def __init__(self, ciphers: Sequence[Cipher]) -> None:
        self.ciphers = tuple(ciphers)
        self.writing = self.ciphers[0]

    def encrypt(self, plain: bytes, place: bytes) -> bytes:
        """The value to be stored."""
        return self.writing.prefix + self.writing.encrypt(plain, place)

    def cipher_of(self, value: bytes) -> Cipher | None:
        """The cipher that a stored value names, None if it is none of these."""
        hidden = value.startswith(PREFIX)
        for cipher in self.ciphers:
            if bool(cipher.prefix) is hidden and value.startswith(cipher.prefix):
                return cipher
        return None


PLAIN = Keyring((Identity(),))
