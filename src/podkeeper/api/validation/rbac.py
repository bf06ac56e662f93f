"""Roles and bindings.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.rbac import v1 as rbac

GROUP = "rbac.authorization.k8s.io"


def role(found: Found, obj: rbac.Role) -> None:
    """A new or changed Role."""
    _rules(found, obj.rules, namespaced=True)


def role_update(found: Found, new: rbac.Role, old: rbac.Role) -> None:
    """Everything may change."""
    role(found, new)


def cluster_role(found: Found, obj: rbac.ClusterRole) -> None:
    """A new or changed ClusterRole."""
    _rules(found, obj.rules, namespaced=False)
    if obj.aggregation_rule is not None:
        selectors = obj.aggregation_rule.cluster_role_selectors
        if not selectors:
            found.required(
                "aggregationRule.clusterRoleSelectors",
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            )
        for path, selector in indexed("aggregationRule.clusterRoleSelectors", selectors):
            label_selector(found, path, selector)


def cluster_role_update(found: Found, new: rbac.ClusterRole, old: rbac.ClusterRole) -> None:
    """Everything may change."""
    cluster_role(found, new)


def role_binding(found: Found, obj: rbac.RoleBinding) -> None:
    """A new RoleBinding."""
    _binding(found, obj, ("Role", "ClusterRole"), namespaced=True)


def role_binding_update(found: Found, new: rbac.RoleBinding, old: rbac.RoleBinding) -> None:
    """The role stays."""
    role_binding(found, new)
    _same_role(found, new, old)


def cluster_role_binding(found: Found, obj: rbac.ClusterRoleBinding) -> None:
    """A new ClusterRoleBinding."""
    _binding(found, obj, ("ClusterRole",), namespaced=False)


def cluster_role_binding_update(found: Found, new: rbac.ClusterRoleBinding, old: rbac.ClusterRoleBinding) -> None:
    """The role stays."""
    cluster_role_binding(found, new)
    _same_role(found, new, old)


def _rules(found: Found, rules: Sequence[rbac.PolicyRule], *, namespaced: bool) -> None:
    for path, rule in indexed("rules", rules):
        if not rule.verbs:
            found.required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.non_resource_urls:
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                found.invalid(f"{path}.nonResourceURLs", rule.non_resource_urls, why)
            if rule.api_groups or rule.resources or rule.resource_names:
                why = "rules cannot apply to both regular resources and non-resource URLs"
                found.invalid(f"{path}.nonResourceURLs", rule.non_resource_urls, why)
            continue
        if not rule.api_groups:
            found.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.resources:
            found.required(f"{path}.resources", "resource rules must supply at least one resource")


def _binding(
    found: Found, obj: rbac.RoleBinding | rbac.ClusterRoleBinding, kinds: tuple[str, ...], *, namespaced: bool
) -> None:
    reference = obj.role_ref
    if reference.api_group != GROUP:
        found.unsupported("roleRef.apiGroup", reference.api_group, (GROUP,))
    if reference.kind not in kinds:
        found.unsupported("roleRef.kind", reference.kind, kinds)
    if not reference.name:
        found.required("roleRef.name")
    else:
        found.check("roleRef.name", reference.name, names.path_segment)
    for path, subject in indexed("subjects", obj.subjects):
        _subject(found, path, subject, namespaced)


def _subject(found: Found, at: str, subject: rbac.Subject, namespaced: bool) -> None:
    if not subject.name:
        found.required(f"{at}.name")
    if subject.kind == "ServiceAccount":
        if subject.name:
            found.check(f"{at}.name", subject.name, names.dns_subdomain)
        if subject.api_group:
            found.unsupported(f"{at}.apiGroup", subject.api_group, ("",))
        if not namespaced and not subject.namespace:
            found.required(f"{at}.namespace")
    elif subject.kind in ("Group", "User"):
        if subject.api_group != GROUP:
            found.unsupported(f"{at}.apiGroup", subject.api_group, (GROUP,))
    else:
        found.unsupported(f"{at}.kind", subject.kind, ("ServiceAccount", "User", "Group"))


def _same_role(
    found: Found, new: rbac.RoleBinding | rbac.ClusterRoleBinding, old: rbac.RoleBinding | rbac.ClusterRoleBinding
) -> None:
    if new.role_ref != old.role_ref:
        found.invalid("roleRef", new.role_ref, "cannot change roleRef")
