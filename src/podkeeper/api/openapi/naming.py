"""Names of operations, from which code generators make the names of clients' methods.

``readCoreV1NamespacedPodLog`` of tag ``core_v1`` is ``CoreV1Api.read_namespaced_pod_log`` in the Python client.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.catalogue import Resource


class Names(Struct, frozen=True):
    """The operationIds and the tag of what is below one path: ``prefix`` is ``CoreV1``, ``scope`` ``Namespaced`` or
    empty, ``kind`` the owner's, ``suffix`` the subresource's. A group's own names have neither scope nor kind."""

    prefix: str
    tag: str
    scope: str = ""
    kind: str = ""
    suffix: str = ""

    @classmethod
    def of_group(cls, group: str) -> Names:
        """The names of a group itself (tag ``rbacAuthorization``)."""
        tag = _words(group.removesuffix(".k8s.io") or "core")
        return cls(_capital(tag), tag)

    @classmethod
    def of_version(cls, group: str, version: str) -> Names:
        """The names of a version itself (tag ``rbacAuthorization_v1``)."""
        names = cls.of_group(group)
        return cls(names.prefix + _capital(version), f"{names.tag}_{version}")

    @classmethod
    def of_resource(cls, resource: Resource) -> Names:
        """The names of what can be done with a resource's objects."""
        names = cls.of_version(resource.group, resource.version)
        return replace(names, scope="Namespaced" if resource.namespaced else "", kind=resource.kind)

    def below(self, subresource: str) -> Names:
        """The names of a subresource's operations."""
        return replace(self, suffix=_capital(subresource))

    def of(self, verb: str, detail: str = "") -> str:
        """``readCoreV1NamespacedPod``; ``detail`` stands before the subject: ``connectCoreV1GetNamespacedPodExec``."""
        return f"{verb}{self.prefix}{detail}{self.scope}{self.kind}{self.suffix}"

    def everywhere(self, verb: str) -> str:
        """``listCoreV1PodForAllNamespaces``, and for a watch ``watchCoreV1PodListForAllNamespaces``."""
        return f"{verb}{self.prefix}{self.kind}{'List' if verb == 'watch' else ''}ForAllNamespaces"


def _words(group: str) -> str:
    """``rbacAuthorization`` of ``rbac.authorization``: what cannot stand in a name is left out, a capital after it."""
    first, *others = re.split(r"[^0-9A-Za-z]+", group)
    return first + "".join(map(_capital, others))


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]
