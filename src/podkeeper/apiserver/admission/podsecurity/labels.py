"""A namespace's policy, read from its labels ``pod-security.kubernetes.io/{enforce,audit,warn}[-version]``.

A level that nobody knows is taken as restricted to enforce, and as privileged to audit and warn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from msgspec import Struct

from podkeeper.api.errors import Cause
from podkeeper.apiserver.admission.podsecurity.levels import LEVELS, PRIVILEGED, RESTRICTED, LevelVersion

_PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
_FREE = LevelVersion(PRIVILEGED)
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]{1,3})")


class Policy(Struct, frozen=True):
    """What is enforced, audited and warned of."""

    enforce: LevelVersion = _FREE
    audit: LevelVersion = _FREE
    warn: LevelVersion = _FREE

    @property
    def is_privileged(self) -> bool:
        """Nothing is judged."""
        return all(each.level == PRIVILEGED for each in (self.enforce, self.audit, self.warn))


def read(labels: Mapping[str, str], defaults: Policy) -> tuple[Policy, list[Cause]]:
    """The policy of a namespace with these labels, and what is wrong with them."""
    mistakes: list[Cause] = []
    modes = (_read(mode, labels, getattr(defaults, mode), mistakes) for mode in MODES)
    return Policy(*modes), mistakes


def is_version(text: str) -> bool:
    """Whether a text names a version."""
    return text == "latest" or _VERSION.fullmatch(text) is not None


def _read(mode: str, labels: Mapping[str, str], default: LevelVersion, mistakes: list[Cause]) -> LevelVersion:
    level, minor = default.level, default.minor
    given = labels.get(_PREFIX + mode)
    if given is not None:
        level = given
        if given not in LEVELS:
            level = RESTRICTED if mode == "enforce" else PRIVILEGED
            mistakes.append(_mistake(_PREFIX + mode, given, f"must be one of {', '.join(LEVELS)}"))
    version = labels.get(f"{_PREFIX}{mode}-version")
    if version is not None:
        match = _VERSION.fullmatch(version)
        minor = int(match.group(1)) if match else None
        if match is None and version != "latest":
            mistakes.append(_mistake(f"{_PREFIX}{mode}-version", version, 'must be "latest" or "v1.x"'))
    return LevelVersion(level, minor)


def _mistake(label: str, value: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value)}: {why}", f"metadata.labels[{label}]")
