"""PolicyRules compiled for matching. The meaning of wildcards is upstream's
(component-helpers/auth/rbac/validation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.apiserver.requestinfo import RequestInfo


class Rule(Struct, frozen=True):
    """One PolicyRule; sets for look-up, the order of the original in ``tree``."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]
    tree: Mapping[str, Any]

    def allows(self, info: RequestInfo) -> bool:
        """The rule covers the request."""
        if info.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not info.is_resource:
            return any(_path_matches(path, info.path) for path in self.paths)
        if info.group not in self.groups and "*" not in self.groups:
            return False
        return self._resource_matches(info.resource, info.subresource) and (not self.names or info.name in self.names)

    def _resource_matches(self, resource: str, subresource: str) -> bool:
        resources = self.resources
        if "*" in resources:
            return True
        if not subresource:
            return resource in resources
        return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources


def compile_rule(tree: Mapping[str, Any]) -> Rule:
    """A rule from its JSON tree."""

    def texts(field: str) -> Sequence[str]:
        return tree.get(field) or ()

    return Rule(
        frozenset(texts("verbs")),
        frozenset(texts("apiGroups")),
        frozenset(texts("resources")),
        frozenset(texts("resourceNames")),
        tuple(texts("nonResourceURLs")),
        tree,
    )


def compile_rules(role: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of a Role or ClusterRole."""
    return tuple(compile_rule(tree) for tree in role.get("rules") or ())


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))
