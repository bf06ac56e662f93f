"""NamespaceLifecycle: the system namespaces cannot be deleted.

That a namespace exists and is not going away when something is created in it is checked by the registry itself, next
to the cache that knows.
"""

from __future__ import annotations

from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.registry.admission import Attributes

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    """Protects the system namespaces."""

    interest = interest("DELETE", "/namespaces")

    async def validate(self, attributes: Attributes) -> None:
        """Refuses to delete an immortal namespace."""
        if attributes.name in IMMORTAL:
            raise forbidden(attributes, "this namespace may not be deleted")
