"""The RBAC policy that upstream begins with (policy.json, one object a line), and how a changed object is brought
back to it.

An object that an administrator has annotated ``rbac.authorization.kubernetes.io/autoupdate: "false"`` is left alone;
otherwise missing rules and subjects are added and what was added by others stays, as upstream reconciles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from podkeeper.apiserver.bootstrap import own_roles

Tree = dict[str, Any]

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"


@cache
def objects() -> Sequence[Mapping[str, Any]]:
    """Every role and binding, upstream's and our own; not to be changed."""
    data = files("podkeeper.apiserver.bootstrap").joinpath("policy.json").read_bytes()
    loaded: Sequence[Mapping[str, Any]] = json.loads(data)
    return [*loaded, *own_roles.bindings()]


def cluster_role(name: str) -> Mapping[str, Any]:
    """A ClusterRole of the policy. Raises LookupError."""
    for tree in objects():
        if tree["kind"] == "ClusterRole" and tree["metadata"]["name"] == name:
            return tree
    raise LookupError(name)


def reconciled(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> Tree | None:
    """``present`` with what it lacks of ``wanted``; None if it lacks nothing or is not to be touched. A binding to
    another role is ``wanted`` as a whole: what a binding refers to cannot be changed."""
    if (present["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    if present.get("roleRef") != wanted.get("roleRef"):
        return dict(wanted)
    changed: Tree = {}
    for field, lacking in (("rules", _lacking_rules), ("subjects", _lacking_subjects)):
        have, want = present.get(field) or [], wanted.get(field) or []
        if have != want and not (field == "rules" and "aggregationRule" in wanted) and (more := lacking(have, want)):
            changed[field] = [*have, *more]
    if "aggregationRule" in wanted and (selectors := _lacking_selectors(present, wanted)):
        changed["aggregationRule"] = {"clusterRoleSelectors": [*_selectors(present), *selectors]}
    metadata = dict(present["metadata"])
    for field in ("labels", "annotations"):
        merged = {**(metadata.get(field) or {}), **(wanted["metadata"].get(field) or {})}
        if merged != (metadata.get(field) or {}):
            metadata[field] = merged
            changed["metadata"] = metadata
    return {**present, **changed} if changed else None


def _lacking_rules(have: Sequence[Mapping[str, Any]], want: Sequence[Mapping[str, Any]]) -> list[Tree]:
    """What ``want`` grants and ``have`` does not, as rules of one permission each."""
    from podkeeper.apiserver.authorization.escalation import uncovered  # roles that have been changed are few
    from podkeeper.apiserver.authorization.rules import compile_rule

    return [each.rule() for each in uncovered([compile_rule(rule) for rule in have], want)]


def _lacking_subjects(have: Sequence[Mapping[str, Any]], want: Sequence[Mapping[str, Any]]) -> list[Any]:
    known = [_normal(each) for each in have]
    return [each for each in want if _normal(each) not in known]


def _selectors(role: Mapping[str, Any]) -> Sequence[Any]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()


def _lacking_selectors(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Any]:
    return [each for each in _selectors(wanted) if each not in _selectors(present)]


def _normal(subject: Mapping[str, Any]) -> Tree:
    """A subject without empty members."""
    return {key: value for key, value in subject.items() if value}
