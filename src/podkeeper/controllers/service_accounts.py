"""Every active namespace has a service account ``default``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.framework import Key, Tools, Watch, namespace_key

DEFAULT = "default"


class ServiceAccounts:
    """Keys are namespaces."""

    name = "service-account-controller"
    workers = 4

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._accounts, self._namespaces = tools.informer(v1.ServiceAccount), tools.informer(v1.Namespace)

    def watches(self) -> Sequence[Watch[Any]]:
        """A namespace that appears, an account that vanishes."""
        return (
            Watch(self._namespaces, lambda old, new: [Key("", new.metadata.name)] if new else []),
            Watch(self._accounts, lambda old, new: [] if new else namespace_key(old, new)),
        )

    async def reconcile(self, key: Key) -> None:
        """Makes the account unless it is there or the namespace is going."""
        if not is_active(self._namespaces.lister.get("", key.name)):
            return
        if self._accounts.lister.get(key.name, DEFAULT) is None:
            account = v1.ServiceAccount(metadata=meta.ObjectMeta(name=DEFAULT, namespace=key.name))
            await create_unless_present(self._tools, account)


def is_active(namespace: v1.Namespace | None) -> bool:
    """Whether objects can be made in the namespace."""
    return namespace is not None and not namespace.metadata.deletion_timestamp


async def create_unless_present(tools: Tools, obj: Any) -> None:
    """Creates an object; that somebody was quicker, or that its namespace is gone by now, is fine."""
    try:
        await tools.api.of(type(obj)).create(obj)
    except ApiError as error:
        going = any(cause.reason == "NamespaceTerminating" for cause in error.causes)
        if error.reason not in ("AlreadyExists", "NotFound") and not going:
            raise
