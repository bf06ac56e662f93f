"""What a quota covers: its scopes, and whether what it limits can be covered by them.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes and upstream's core validation.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from podkeeper.api.validation.fields import Found

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_PODS = frozenset({"pods"})
_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_STORAGE = frozenset({"persistentvolumeclaims", "requests.storage"})
#: What can be limited without a prefix that somebody else chooses.
_STANDARD = (
    _PODS
    | _COMPUTE
    | _STORAGE
    | {
        "configmaps",
        "ephemeral-storage",
        "limits.ephemeral-storage",
        "replicationcontrollers",
        "requests.ephemeral-storage",
        "resourcequotas",
        "secrets",
        "services",
        "services.loadbalancers",
        "services.nodeports",
    }
)
#: By scope, which of these it may be applied to.
_LIMITED = {
    "BestEffort": _PODS,
    "CrossNamespacePodAffinity": _PODS | _COMPUTE,
    "NotBestEffort": _PODS | _COMPUTE,
    "NotTerminating": _PODS | _COMPUTE,
    "PriorityClass": _PODS | _COMPUTE,
    "Terminating": _PODS | _COMPUTE,
    "VolumeAttributesClass": _STORAGE,
}
_PLAIN = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_CONFLICTS = (frozenset({"BestEffort", "NotBestEffort"}), frozenset({"Terminating", "NotTerminating"}))
_NOT_APPLICABLE, _CONFLICTING = "unsupported scope applied to resource", "conflicting scopes"
_NEEDS_EXISTS = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def scopes(found: Found, spec: v1.ResourceQuotaSpec) -> None:
    """The scopes of a quota, in either way of saying them."""
    for scope in spec.scopes:
        if scope not in _LIMITED:
            found.invalid("spec.scopes", spec.scopes, "unsupported scope")
        for _ in _not_covered(scope, spec.hard):
            found.invalid("spec.scopes", spec.scopes, _NOT_APPLICABLE)
    if _conflict(spec.scopes):
        found.invalid("spec.scopes", spec.scopes, _CONFLICTING)
    selector = spec.scope_selector
    if selector is None:
        return
    at = "spec.scopeSelector.matchExpressions"
    for term in selector.match_expressions:
        if term.scope_name not in _LIMITED:
            found.invalid(f"{at}.scopeName", term.scope_name, "unsupported scope")
        for _ in _not_covered(term.scope_name, spec.hard):
            found.invalid(at, selector, _NOT_APPLICABLE)
        if term.scope_name in _PLAIN and term.operator != "Exists":
            found.invalid(f"{at}.operator", term.operator, _NEEDS_EXISTS)
        _values(found, at, term)
    if _conflict([term.scope_name for term in selector.match_expressions]):
        found.invalid(at, spec.scopes, _CONFLICTING)


def _values(found: Found, at: str, term: v1.ScopedResourceSelectorRequirement) -> None:
    if term.operator in ("In", "NotIn"):
        if not term.values:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.required(f"{at}.values", why)
    elif term.operator not in ("Exists", "DoesNotExist"):
        found.invalid(f"{at}.operator", term.operator, "not a valid selector operator")
    elif term.values:
        why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        found.invalid(f"{at}.values", term.values, why)


def _not_covered(scope: str, hard: Collection[str]) -> list[str]:
    return [name for name in sorted(hard) if name in _STANDARD and name not in _LIMITED.get(scope, frozenset())]


def _conflict(named: Collection[str]) -> bool:
    return any(pair <= set(named) for pair in _CONFLICTS)
