"""The audit policy: a file of rules, of which the first that matches a request says how much is logged.

Source: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.requestinfo import RequestInfo

STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_FIELDS = {
    "": {"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"},
    "rules": {
        "level",
        "users",
        "userGroups",
        "verbs",
        "resources",
        "namespaces",
        "nonResourceURLs",
        "omitStages",
        "omitManagedFields",
    },
    "resources": {"group", "resources", "resourceNames"},
}


class PolicyError(ValueError):
    """The policy cannot be used; says why."""


class Level(IntEnum):
    """How much of a request is logged."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def label(self) -> str:
        """The level as the policy names it."""
        return _LABELS[self]


_LABELS = {
    Level.NONE: "None",
    Level.METADATA: "Metadata",
    Level.REQUEST: "Request",
    Level.REQUEST_RESPONSE: "RequestResponse",
}
_LEVELS = {label: level for level, label in _LABELS.items()}


class Ruling(Struct, frozen=True):
    """What is logged of one request."""

    level: Level
    omitted_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


class _Resources(Struct, frozen=True):
    group: str
    resources: tuple[str, ...]
    names: frozenset[str]

    def matches(self, info: RequestInfo) -> bool:
        if self.group != info.group:
            return False
        if not self.resources:
            return True
        if self.names and info.name not in self.names:
            return False
        whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        return any(
            each in ("*", whole, f"{info.resource}/*") or (info.subresource and each == f"*/{info.subresource}")
            for each in self.resources
        )


class _Rule(Struct, frozen=True):
    ruling: Ruling
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    namespaces: frozenset[str]
    resources: tuple[_Resources, ...]
    paths: tuple[str, ...]

    def matches(self, user: UserInfo | None, info: RequestInfo) -> bool:
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.groups and (user is None or self.groups.isdisjoint(user.groups)):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._matches_resource(info)
        if self.paths:
            return not info.is_resource and any(_path_matches(info.path, each) for each in self.paths)
        return True

    def _matches_resource(self, info: RequestInfo) -> bool:
        if not info.is_resource or (self.namespaces and info.namespace not in self.namespaces):
            return False
        return not self.resources or any(each.matches(info) for each in self.resources)


class Policy(Struct, frozen=True):
    """The rules in their order; what none of them matches is not logged."""

    rules: tuple[_Rule, ...]

    def ruling(self, user: UserInfo | None, info: RequestInfo) -> Ruling:
        """What is logged of a request. Without a user, its credentials were refused."""
        for rule in self.rules:
            if rule.matches(user, info):
                return rule.ruling
        return Ruling(Level.NONE)


def load(path: Path) -> Policy:
    """Reads a policy file. Raises PolicyError."""
    from podkeeper.apiserver import yamls  # few servers have a policy

    try:
        tree = yamls.load(path.read_bytes())
    except OSError as error:
        raise PolicyError(f'failed to read file path "{path}": {error.strerror}') from error
    except yamls.YamlError as error:
        raise PolicyError(f"failed decoding {path}: {error}") from error
    return compile_policy(tree)


def compile_policy(tree: Any) -> Policy:
    """A policy from its tree. Raises PolicyError."""
    if not isinstance(tree, dict) or (tree.get("apiVersion"), tree.get("kind")) != ("audit.k8s.io/v1", "Policy"):
        raise PolicyError("it is not a Policy of audit.k8s.io/v1")
    _check_fields(tree, "", "")
    rules = tree.get("rules") or []
    if not rules:
        raise PolicyError("loaded illegal policy with 0 rules")
    everywhere = _stages(tree, "omitStages")
    plain = bool(tree.get("omitManagedFields"))
    return Policy(tuple(_rule(rule, f"rules[{index}]", everywhere, plain) for index, rule in enumerate(rules)))


def _rule(tree: Any, where: str, everywhere: frozenset[str], plain: bool) -> _Rule:
    _check_fields(tree, "rules", where)
    level = tree.get("level")
    if level not in _LEVELS:
        supported = ", ".join(f'"{each}"' for each in _LEVELS)
        raise PolicyError(f'{where}.level: Unsupported value: "{level or ""}": supported values: {supported}')
    if tree.get("nonResourceURLs") and (tree.get("resources") or tree.get("namespaces")):
        raise PolicyError(
            f"{where}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs"
        )
    for number, path in enumerate(tree.get("nonResourceURLs") or ()):
        _check_path(path, f"{where}.nonResourceURLs[{number}]")
    omit = tree.get("omitManagedFields")
    ruling = Ruling(_LEVELS[level], everywhere | _stages(tree, where), plain if omit is None else bool(omit))
    resources = tuple(
        _resources(each, f"{where}.resources[{number}]") for number, each in enumerate(tree.get("resources") or ())
    )
    sets = (frozenset(tree.get(name) or ()) for name in ("users", "userGroups", "verbs", "namespaces"))
    users, groups, verbs, namespaces = sets
    return _Rule(ruling, users, groups, verbs, namespaces, resources, tuple(tree.get("nonResourceURLs") or ()))


def _resources(tree: Any, where: str) -> _Resources:
    _check_fields(tree, "resources", where)
    if tree.get("resourceNames") and not tree.get("resources"):
        raise PolicyError(f"{where}.resourceNames: using resourceNames requires at least one resource")
    return _Resources(
        tree.get("group") or "", tuple(tree.get("resources") or ()), frozenset(tree.get("resourceNames") or ())
    )


def _stages(tree: Mapping[str, Any], where: str) -> frozenset[str]:
    stages: Sequence[str] = tree.get("omitStages") or ()
    for stage in stages:
        if stage not in STAGES:
            supported = ", ".join(f'"{each}"' for each in STAGES)
            raise PolicyError(f'{where}: Unsupported value: "{stage}": allowed stages are {supported}')
    return frozenset(stages)


def _check_path(path: str, where: str) -> None:
    if path != "*" and not path.startswith("/"):
        raise PolicyError(f"{where}: Invalid value: \"{path}\": non-resource URL rules must begin with a '/' character")
    if path != "*" and "*" in path[:-1]:
        raise PolicyError(
            f"{where}: Invalid value: \"{path}\": non-resource URL wildcards '*' must be the final character"
        )


def _check_fields(tree: Any, kind: str, where: str) -> None:
    if not isinstance(tree, dict):
        raise PolicyError(f"{where}: it is not an object")
    unknown = sorted(set(tree) - _FIELDS[kind])
    if unknown:
        raise PolicyError(f'unknown field "{where}.{unknown[0]}"'.replace('".', '"'))


def _path_matches(path: str, pattern: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))
