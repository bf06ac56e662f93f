"""Bootstrap tokens that have ended are removed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.controllers.framework import Key, Tools, Watch, own_key

SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type's name
NAMESPACE = "kube-system"


class BootstrapTokenCleaning:
    """Keys are Secrets in kube-system."""

    name = "token-cleaner"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._secrets = tools.informer(v1.Secret)

    def watches(self) -> Sequence[Watch[Any]]:
        """Secrets of the type."""

        def ours(old: v1.Secret | None, new: v1.Secret | None) -> Iterable[Key]:
            ours = new is not None and new.type == SECRET_TYPE and new.metadata.namespace == NAMESPACE
            return own_key(old, new) if ours else ()

        return (Watch(self._secrets, ours),)

    async def reconcile(self, key: Key) -> float | None:
        """Removes the Secret once its time has come, or says when that is."""
        secret = self._secrets.lister.get(key.namespace, key.name)
        ends = expiration(secret) if secret is not None else None
        if secret is None or ends is None:
            return None
        wait = ends - self._tools.clock.time()
        if wait > 0:
            return wait
        try:
            await self._tools.api.of(v1.Secret).delete(key.name, key.namespace, uid=secret.metadata.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return None


def expiration(secret: v1.Secret) -> float | None:
    """When a token ends, in seconds since the epoch: at once where that is no time, None where it never does."""
    encoded = (secret.data or {}).get("expiration")
    if not encoded:
        return None
    try:
        return timestamps.parse(base64.b64decode(encoded).decode())
    except (binascii.Error, ValueError):
        return 0.0
