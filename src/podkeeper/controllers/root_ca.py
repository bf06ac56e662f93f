"""Every active namespace has a config map ``kube-root-ca.crt``: the authority behind the API server's certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.framework import Key, Tools, Watch, namespace_key
from podkeeper.controllers.service_accounts import create_unless_present, is_active

NAME, FIELD = "kube-root-ca.crt", "ca.crt"
NOTE = {
    "kubernetes.io/description": "The certificate authority that signed the API server's certificate; "
    "pods verify with it whom they talk to."
}


class RootCertificates:
    """Keys are namespaces. ``certificate`` is PEM."""

    name = "root-ca-certificate-publisher"
    workers = 4

    def __init__(self, tools: Tools, certificate: str) -> None:
        self._tools, self._certificate = tools, certificate
        self._maps, self._namespaces = tools.informer(v1.ConfigMap), tools.informer(v1.Namespace)

    def watches(self) -> Sequence[Watch[Any]]:
        """A namespace that appears, a map of our name that changes."""

        def ours(old: v1.ConfigMap | None, new: v1.ConfigMap | None) -> Any:
            found = new or old
            return namespace_key(old, new) if found and found.metadata.name == NAME else ()

        return (
            Watch(self._namespaces, lambda old, new: [Key("", new.metadata.name)] if new else []),
            Watch(self._maps, ours),
        )

    async def reconcile(self, key: Key) -> None:
        """Makes the map, or puts its content right."""
        if not is_active(self._namespaces.lister.get("", key.name)):
            return
        wanted = {FIELD: self._certificate}
        present = self._maps.lister.get(key.name, NAME)
        if present is None:
            metadata = meta.ObjectMeta(name=NAME, namespace=key.name, annotations=NOTE)
            await create_unless_present(self._tools, v1.ConfigMap(metadata=metadata, data=wanted))
        elif present.data != wanted:
            await self._tools.api.of(v1.ConfigMap).update(msgspec.structs.replace(present, data=wanted))
