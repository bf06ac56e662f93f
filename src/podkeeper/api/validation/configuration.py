"""ConfigMaps and Secrets.

Source: https://kubernetes.io/docs/concepts/configuration/configmap/ and .../secret/
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_LIMIT = 1 << 20
_FROZEN = "field is immutable when `immutable` is set"
#: Keys that a typed Secret must have.
_NEEDED = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def config_map(found: Found, obj: v1.ConfigMap) -> None:
    """A new ConfigMap."""
    size = 0
    for key, text in obj.data.items():
        found.check(f"data[{key}]", key, names.config_key)
        if key in obj.binary_data:
            found.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len(text.encode())
    for key, encoded in obj.binary_data.items():
        found.check(f"binaryData[{key}]", key, names.config_key)
        size += _decoded_size(encoded)
    if size > _LIMIT:
        found.too_long("", _LIMIT)


def config_map_update(found: Found, new: v1.ConfigMap, old: v1.ConfigMap) -> None:
    """A frozen one never changes, nor thaws."""
    _frozen(found, new, old)
    if old.immutable and new.binary_data != old.binary_data:
        found.forbidden("binaryData", _FROZEN)
    config_map(found, new)


def secret(found: Found, obj: v1.Secret) -> None:
    """A new Secret."""
    size = 0
    for key, encoded in obj.data.items():
        found.check(f"data[{key}]", key, names.config_key)
        size += _decoded_size(encoded)
    if size > _LIMIT:
        found.too_long("data", _LIMIT)
    if obj.type == "kubernetes.io/service-account-token":
        if not obj.metadata.annotations.get("kubernetes.io/service-account.name"):
            found.required("metadata.annotations[kubernetes.io/service-account.name]")
    elif obj.type == "kubernetes.io/basic-auth" and not obj.data.keys() & {"username", "password"}:
        found.required("data[username]")
        found.required("data[password]")
    for key in _NEEDED.get(obj.type, ()):
        if key not in obj.data:
            found.required(f"data[{key}]")
        elif key.startswith(".docker") and not _is_json(obj.data[key]):
            found.invalid(f"data[{key}]", "<secret contents redacted>", "invalid character")


def secret_update(found: Found, new: v1.Secret, old: v1.Secret) -> None:
    """The type stays; a frozen one never changes, nor thaws."""
    found.unchanged("type", new.type, old.type)
    _frozen(found, new, old)
    secret(found, new)


def _frozen(found: Found, new: v1.ConfigMap | v1.Secret, old: v1.ConfigMap | v1.Secret) -> None:
    if old.immutable:
        if not new.immutable:
            found.forbidden("immutable", _FROZEN)
        if new.data != old.data:
            found.forbidden("data", _FROZEN)


def _decoded_size(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _is_json(encoded: str) -> bool:
    try:
        json.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True
