"""Whether one set of rules covers another: nobody may grant what he does not hold.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.gojson.quoting import quoted
from podkeeper.apiserver.authorization.rules import Rule


class Permission(Struct, frozen=True):
    """One thing that may be done: a verb on a resource (of one name, or of all) or on a path."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    path: str = ""

    def rule(self) -> dict[str, list[str]]:
        """The rule that grants this and nothing else."""
        if self.path:
            return {"verbs": [self.verb], "nonResourceURLs": [self.path]}
        rule = {"verbs": [self.verb], "apiGroups": [self.group], "resources": [self.resource]}
        return {**rule, "resourceNames": [self.name]} if self.name else rule

    @property
    def subject(self) -> str:
        """What may be done something with, as upstream writes it in a refusal."""
        if self.path:
            return f"NonResourceURLs:[{quoted(self.path)}]"
        names = f", ResourceNames:[{quoted(self.name)}]" if self.name else ""
        return f"APIGroups:[{quoted(self.group)}], Resources:[{quoted(self.resource)}]{names}"


def described(missing: Iterable[Permission]) -> str:
    """Permissions as a refusal lists them: the verbs of one resource together, a line each, in order."""
    verbs: dict[str, list[str]] = {}
    lines = []
    for each in missing:
        if each.path:
            lines.append(f"{{{each.subject}, Verbs:[{quoted(each.verb)}]}}")
        else:
            verbs.setdefault(each.subject, []).append(quoted(each.verb))
    lines += [f"{{{subject}, Verbs:[{' '.join(found)}]}}" for subject, found in verbs.items()]
    return "\n".join(sorted(lines))


def permissions(rule: Mapping[str, Any]) -> Iterator[Permission]:
    """A rule taken apart."""
    for verb in rule.get("verbs") or ():
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Permission(verb, group, resource, name)
        for path in rule.get("nonResourceURLs") or ():
            yield Permission(verb, path=path)


def uncovered(held: Sequence[Rule], wanted: Sequence[Mapping[str, Any]]) -> list[Permission]:
    """What ``wanted`` would grant and ``held`` does not, each once."""
    every = dict.fromkeys(permission for rule in wanted for permission in permissions(rule))
    return [permission for permission in every if not any(_covers(rule, permission) for rule in held)]


def _covers(rule: Rule, wanted: Permission) -> bool:
    if wanted.verb not in rule.verbs and "*" not in rule.verbs:
        return False
    if wanted.path:
        return any(_path_covers(path, wanted.path) for path in rule.paths)
    if wanted.group not in rule.groups and "*" not in rule.groups:
        return False
    if rule.names and wanted.name not in rule.names:
        return False
    _, slash, subresource = wanted.resource.partition("/")
    return (
        "*" in rule.resources
        or wanted.resource in rule.resources
        or (bool(slash) and f"*/{subresource}" in rule.resources)
    )


def _path_covers(held: str, wanted: str) -> bool:
    return held in ("*", wanted) or (held.endswith("*") and wanted.startswith(held.removesuffix("*")))
