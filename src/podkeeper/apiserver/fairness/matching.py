"""Flow schemas compiled for matching: which one a request belongs to, and what tells its flows apart.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/flow-schema-v1/
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.requestinfo import RequestInfo

_ACCOUNT = "system:serviceaccount:"


class Schema(Struct, frozen=True):
    """One FlowSchema. ``method`` is ByUser, ByNamespace or empty: all requests are one flow then."""

    name: str
    uid: str
    level: str
    precedence: int
    method: str
    rules: tuple[_Rule, ...]

    def matches(self, user: UserInfo, info: RequestInfo) -> bool:
        """The request is one of this schema's."""
        return any(rule.matches(user, info) for rule in self.rules)

    def distinguisher(self, user: UserInfo, info: RequestInfo) -> str:
        """What tells the request's flow from the schema's others."""
        if self.method == "ByUser":
            return user.name
        return info.namespace if self.method == "ByNamespace" else ""

    def flow_hash(self, distinguisher: str) -> int:
        """64 bits that choose the flow's queues."""
        text = f"{self.name}\0{distinguisher}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


class _Rule(Struct, frozen=True):
    users: frozenset[str]
    groups: frozenset[str]
    #: Beginnings of the names of all accounts of a namespace.
    accounts: tuple[str, ...]
    resources: tuple[_Resources, ...]
    paths: tuple[tuple[frozenset[str], frozenset[str]], ...]

    def matches(self, user: UserInfo, info: RequestInfo) -> bool:
        if not self._is_subject(user):
            return False
        if info.is_resource:
            return any(rule.matches(info) for rule in self.resources)
        return any(_holds(verbs, info.verb) and _path_in(urls, info.path) for verbs, urls in self.paths)

    def _is_subject(self, user: UserInfo) -> bool:
        if user.name in self.users or "*" in self.users or "*" in self.groups:
            return True
        if not self.groups.isdisjoint(user.groups):
            return True
        return bool(self.accounts) and user.name.startswith(self.accounts)


class _Resources(Struct, frozen=True):
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    namespaces: frozenset[str]
    cluster: bool

    def matches(self, info: RequestInfo) -> bool:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        return (
            _holds(self.verbs, info.verb)
            and _holds(self.groups, info.group)
            and _holds(self.resources, resource)
            and (_holds(self.namespaces, info.namespace) if info.namespace else self.cluster)
        )


def _holds(names: frozenset[str], name: str) -> bool:
    return name in names or "*" in names


def _path_in(urls: frozenset[str], path: str) -> bool:
    return _holds(urls, path) or any(url.endswith("/*") and path.startswith(url[:-1]) for url in urls)


def compile_schemas(trees: Iterable[Mapping[str, Any]]) -> Sequence[Schema]:
    """Schemas in the order in which they are tried: by precedence, then by name."""
    return sorted(map(_compile, trees), key=lambda schema: (schema.precedence, schema.name))


def _compile(tree: Mapping[str, Any]) -> Schema:
    spec, metadata = tree.get("spec") or {}, tree["metadata"]
    return Schema(
        metadata["name"],
        metadata.get("uid", ""),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence") or 1000,
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple(_compile_rule(rule) for rule in spec.get("rules") or ()),
    )


def _compile_rule(tree: Mapping[str, Any]) -> _Rule:
    users, groups, accounts = set(), set(), []
    for subject in tree.get("subjects") or ():
        if subject["kind"] == "User":
            users.add(subject["user"]["name"])
        elif subject["kind"] == "Group":
            groups.add(subject["group"]["name"])
        else:
            account = subject["serviceAccount"]
            if account["name"] == "*":
                accounts.append(f"{_ACCOUNT}{account['namespace']}:")
            else:
                users.add(f"{_ACCOUNT}{account['namespace']}:{account['name']}")
    return _Rule(
        frozenset(users),
        frozenset(groups),
        tuple(accounts),
        tuple(_compile_resources(rule) for rule in tree.get("resourceRules") or ()),
        tuple((_set(rule, "verbs"), _set(rule, "nonResourceURLs")) for rule in tree.get("nonResourceRules") or ()),
    )


def _compile_resources(rule: Mapping[str, Any]) -> _Resources:
    return _Resources(
        _set(rule, "verbs"),
        _set(rule, "apiGroups"),
        _set(rule, "resources"),
        _set(rule, "namespaces"),
        bool(rule.get("clusterScope")),
    )


def _set(rule: Mapping[str, Any], field: str) -> frozenset[str]:
    return frozenset(rule.get(field) or ())
