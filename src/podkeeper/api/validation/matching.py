"""Which requests a webhook or an admission policy is asked about: rules, selectors, conditions.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.expressions import Expressions
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.admissionregistration import v1 as registration

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATIONS = ("IfNeeded", "Never")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_MAX_CONDITIONS = 64


def rules(found: Found, at: str, listed: Sequence[registration.RuleWithOperations]) -> None:
    """Rules of which one must match."""
    for path, rule in indexed(at, listed):
        _rule(found, path, rule)


def match_resources(found: Found, at: str, match: registration.MatchResources) -> None:
    """What a policy or its binding is about; selectors and the policy are there once defaults are filled in."""
    found.one_of(f"{at}.matchPolicy", match.match_policy, MATCH_POLICIES)
    label_selector(found, f"{at}.namespaceSelector", match.namespace_selector)
    label_selector(found, f"{at}.objectSelector", match.object_selector)
    for name, listed in (
        ("resourceRules", match.resource_rules),
        ("excludeResourceRules", match.exclude_resource_rules),
    ):
        for path, rule in indexed(f"{at}.{name}", listed):
            _resource_names(found, f"{path}.resourceNames", rule.resource_names)
            _rule(found, path, rule)


def conditions(found: Found, at: str, listed: Sequence[registration.MatchCondition], expressions: Expressions) -> None:
    """Named expressions that must all hold."""
    if len(listed) > _MAX_CONDITIONS:
        found.too_many(at, len(listed), _MAX_CONDITIONS)
    seen = set()
    for path, condition in indexed(at, listed):
        if not condition.expression.strip():
            found.required(f"{path}.expression")
        else:
            expressions.condition(f"{path}.expression", condition.expression)
        if not condition.name:
            found.required(f"{path}.name")
            continue
        found.check(f"{path}.name", condition.name, names.qualified_name)
        if condition.name in seen:
            found.duplicate(f"{path}.name", condition.name)
        seen.add(condition.name)


def _rule(found: Found, at: str, rule: registration.RuleWithOperations | registration.NamedRuleWithOperations) -> None:
    _wild_or_listed(found, f"{at}.operations", rule.operations, "operations")
    for path, operation in indexed(f"{at}.operations", rule.operations):
        if operation not in _OPERATIONS:
            found.unsupported(path, operation, _OPERATIONS)
    _wild_or_listed(found, f"{at}.apiGroups", rule.api_groups, "API groups")
    _wild_or_listed(found, f"{at}.apiVersions", rule.api_versions, "API versions")
    for path, version in indexed(f"{at}.apiVersions", rule.api_versions):
        if not version:
            found.required(path)
    _resources(found, f"{at}.resources", rule.resources)
    if rule.scope and rule.scope not in _SCOPES:
        found.unsupported(f"{at}.scope", rule.scope, _SCOPES)


def _wild_or_listed(found: Found, at: str, listed: Sequence[str], noun: str) -> None:
    if not listed:
        found.required(at)
    if len(listed) > 1 and "*" in listed:
        found.invalid(at, listed, f"if '*' is present, must not specify other {noun}")


def _resources(found: Found, at: str, listed: Sequence[str]) -> None:
    """``pods``, ``pods/status``, ``*``, ``pods/*``, ``*/status``, ``*/*``: none that another includes."""
    if not listed:
        found.required(at)
    whole_resources: set[str] = set()
    whole_subresources: set[str] = set()
    for path, each in indexed(at, listed):
        if not each:
            found.required(path)
        resource, slash, subresource = each.partition("/")
        if not slash:
            continue
        if resource in whole_resources:
            found.invalid(path, each, f"if '{resource}/*' is present, must not specify {each}")
        if subresource in whole_subresources:
            found.invalid(path, each, f"if '*/{subresource}' is present, must not specify {each}")
        if subresource == "*":
            whole_resources.add(resource)
        if resource == "*":
            whole_subresources.add(subresource)
    if len(listed) > 1 and "*/*" in listed:
        found.invalid(at, listed, "if '*/*' is present, must not specify other resources")
    if "*" in listed and any(each != "*" and "/" not in each for each in listed):
        found.invalid(at, listed, "if '*' is present, must not specify other resources without subresources")


def _resource_names(found: Found, at: str, listed: Sequence[str]) -> None:
    seen = set()
    for path, name in indexed(at, listed):
        found.check(path, name, names.path_segment)
        if name in seen:
            found.duplicate(path, name)
        seen.add(name)
