"""Keys and certificates as PEM files. Who only needs to know where they are does not load what makes them.

Private keys are written with mode 0600 before anything can read them, certificates with 0644; files are replaced
atomically.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Paths of a certificate and its private key."""

    certificate: Path
    key: Path


def write_private(path: Path, data: bytes) -> None:
    """Writes ``data`` readable by its owner alone, atomically."""
    _write(path, data, 0o600)


def write_public(path: Path, data: bytes) -> None:
    """Writes ``data`` readable by everyone, atomically."""
    _write(path, data, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
