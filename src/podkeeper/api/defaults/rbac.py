"""rbac.authorization.k8s.io/v1: the bindings."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill_empty, members

Tree = dict[str, Any]

_GROUP = "rbac.authorization.k8s.io"


def binding(tree: Tree) -> None:
    """RoleBinding and ClusterRoleBinding: the API group of the role and of users and groups."""
    fill_empty(child(tree, "roleRef"), "apiGroup", _GROUP)
    for subject in members(tree, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            fill_empty(subject, "apiGroup", _GROUP)
