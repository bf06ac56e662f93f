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
    """``present`` with what it lacks of ``wanted``; None if it lacks nothing or is not to be touched."""
    if (present["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    changed: Tree = {}
    for field in ("rules", "subjects"):
        if "aggregationRule" in wanted and field == "rules":
            continue
        have = list(present.get(field) or ())
        if have == wanted.get(field):
            continue  # as nearly always
        lacking = [each for each in wanted.get(field) or () if _normal(each) not in [_normal(one) for one in have]]
        if lacking:
            changed[field] = have + lacking
    if wanted.get("aggregationRule") and present.get("aggregationRule") != wanted["aggregationRule"]:
        changed["aggregationRule"] = wanted["aggregationRule"]
    metadata = dict(present["metadata"])
    for field in ("labels", "annotations"):
        merged = {**(metadata.get(field) or {}), **(wanted["metadata"].get(field) or {})}
        if merged != (metadata.get(field) or {}):
            metadata[field] = merged
            changed["metadata"] = metadata
    return {**present, **changed} if changed else None


def _normal(value: Any) -> Any:
    """A rule or subject without empty members, lists of texts in one order."""
    if isinstance(value, Mapping):
        return {key: _normal(each) for key, each in value.items() if each not in ("", None, [])}
    if isinstance(value, list):
        return sorted(value) if all(isinstance(each, str) for each in value) else [_normal(each) for each in value]
    return value
