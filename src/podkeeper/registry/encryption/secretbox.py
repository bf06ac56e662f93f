"""XSalsa20 and Poly1305 put together as NaCl's secretbox does. Long values are worked on as arrays: a few milliseconds
each.

Source: D. J. Bernstein, "Cryptography in NaCl" (2009) and "Extending the Salsa20 nonce" (2011).
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from typing import Any

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 24, 16

_MASK = 0xFFFFFFFF
#: From so many blocks on arrays are faster.
_MANY = 12
_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
#: The quarter rounds of a double round: columns, then rows.
_QUARTERS = (
    (0, 4, 8, 12),
    (5, 9, 13, 1),
    (10, 14, 2, 6),
    (15, 3, 7, 11),
    (0, 1, 2, 3),
    (5, 6, 7, 4),
    (10, 11, 8, 9),
    (15, 12, 13, 14),
)


class Forged(ValueError):
    """The tag does not fit: another key, or changed bytes."""


def seal(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    """Tag and ciphertext of ``plain``."""
    stream = _stream(key, nonce, len(plain) + 32)
    hidden = _xor(plain, stream[32:])
    return _poly1305(stream[:32], hidden) + hidden


def open_(key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """What was sealed. Raises Forged."""
    tag, hidden = sealed[:TAG_BYTES], sealed[TAG_BYTES:]
    stream = _stream(key, nonce, len(hidden) + 32)
    if not hmac.compare_digest(tag, _poly1305(stream[:32], hidden)):
        raise Forged("the tag does not fit")
    return _xor(hidden, stream[32:])


def _poly1305(key: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    return Poly1305.generate_tag(key, data)


def _xor(left: bytes, right: bytes) -> bytes:
    size = len(left)
    return (int.from_bytes(left, "big") ^ int.from_bytes(right[:size], "big")).to_bytes(size, "big")


def _stream(key: bytes, nonce: bytes, size: int) -> bytes:
    """The first ``size`` bytes of XSalsa20's key stream."""
    subkey = _hsalsa20(key, nonce[:16])
    words = struct.unpack("<8I", subkey)
    first, second = struct.unpack("<2I", nonce[16:])
    count = (size + 63) // 64
    if count > _MANY:
        return _many_blocks(words, (first, second), count)[:size]
    blocks = []
    for counter in range(count):
        state = _state(words, (first, second, counter & _MASK, counter >> 32))
        mixed = _rounds(state)
        blocks.append(struct.pack("<16I", *((a + b) & _MASK for a, b in zip(state, mixed, strict=True))))
    return b"".join(blocks)[:size]


def _many_blocks(key: Sequence[int], nonce: Sequence[int], count: int) -> bytes:
    """The same for many blocks at once: each word is an array with an element a block."""
    import numpy as np  # few clusters use this cipher

    counters = np.arange(count, dtype=np.uint64)
    low, high = (counters & np.uint64(_MASK)).astype(np.uint32), (counters >> np.uint64(32)).astype(np.uint32)
    words = _state(key, (*nonce, 0, 0))
    state: list[Any] = [np.full(count, word, dtype=np.uint32) for word in words]
    state[8], state[9] = low, high
    mixed = [before + after for before, after in zip(state, _rounds(state), strict=True)]
    return np.stack(mixed, axis=1).astype("<u4").tobytes()


def _hsalsa20(key: bytes, nonce: bytes) -> bytes:
    mixed = _rounds(_state(struct.unpack("<8I", key), struct.unpack("<4I", nonce)))
    return struct.pack("<8I", *(mixed[index] for index in (0, 5, 10, 15, 6, 7, 8, 9)))


def _state(key: Sequence[int], middle: Sequence[int]) -> list[int]:
    return [_SIGMA[0], *key[:4], _SIGMA[1], *middle, _SIGMA[2], *key[4:], _SIGMA[3]]


def _rounds(state: Sequence[Any]) -> list[Any]:
    """The words mixed; each is a number, or an array of numbers."""
    x = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            t = (x[a] + x[d]) & _MASK
            x[b] = x[b] ^ ((t << 7 & _MASK) | t >> 25)
            t = (x[b] + x[a]) & _MASK
            x[c] = x[c] ^ ((t << 9 & _MASK) | t >> 23)
            t = (x[c] + x[b]) & _MASK
            x[d] = x[d] ^ ((t << 13 & _MASK) | t >> 19)
            t = (x[d] + x[c]) & _MASK
            x[a] = x[a] ^ ((t << 18 & _MASK) | t >> 14)
    return x
