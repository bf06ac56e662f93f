"""FlowSchema and PriorityLevelConfiguration.

Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from podkeeper.api.flowcontrol import v1 as flow

_EXEMPT = "exempt"
_MAX_PRECEDENCE = 10000
_MAX_QUEUES = 10_000_000
_MAX_HASH_BITS = 60
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_METHODS = ("ByNamespace", "ByUser")
_KINDS = ("Group", "ServiceAccount", "User")
_NAMESPACE = "each member of this list must be '*' or a DNS-1123 label; "
_WHOLE = "must be a non-negative integer"


def flow_schema(found: Found, obj: flow.FlowSchema) -> None:
    """A new or changed schema."""
    spec, at = obj.spec, "spec.matchingPrecedence"
    precedence = spec.matching_precedence or 0
    if precedence <= 0:
        found.invalid(at, precedence, "must be a positive value")
    if precedence > _MAX_PRECEDENCE:
        found.invalid(at, precedence, f"must not be greater than {_MAX_PRECEDENCE}")
    if precedence == 1 and obj.metadata.name != _EXEMPT:
        found.invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.distinguisher_method
    if method is not None and method.type not in _METHODS:
        found.unsupported("spec.distinguisherMethod.type", method, _METHODS)
    level = spec.priority_level_configuration.name
    if not level:
        found.required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        found.check("spec.priorityLevelConfiguration.name", level, names.dns_subdomain)
    for path, rule in indexed("spec.rules", spec.rules):
        _rule(found, path, rule)


def flow_schema_update(found: Found, new: flow.FlowSchema, old: flow.FlowSchema) -> None:
    """Everything may change."""
    flow_schema(found, new)


def priority_level(found: Found, obj: flow.PriorityLevelConfiguration) -> None:
    """A new or changed level."""
    spec = obj.spec
    if (obj.metadata.name == _EXEMPT) != (spec.type == "Exempt"):
        found.invalid("spec.type", spec.type, "type must be 'Exempt' if and only if name is 'exempt'")
    if spec.type == "Exempt":
        if spec.limited is not None:
            found.forbidden("spec.limited", "must be nil if the type is not Limited")
        if spec.exempt is not None:
            _shares(found, "spec.exempt", spec.exempt)
    elif spec.type == "Limited":
        if spec.exempt is not None:
            found.forbidden("spec.exempt", "must be nil if the type is Limited")
        if spec.limited is None:
            found.required("spec.limited", "must not be empty when type is Limited")
        else:
            _limited(found, "spec.limited", spec.limited)
    else:
        found.unsupported("spec.type", spec.type, ("Exempt", "Limited"))


def priority_level_update(
    found: Found, new: flow.PriorityLevelConfiguration, old: flow.PriorityLevelConfiguration
) -> None:
    """Everything may change."""
    priority_level(found, new)


def entropy_bits(queues: int, hand: int) -> int:
    """Bits of hash that dealing a hand of queues takes: shuffle sharding draws without putting back."""
    return math.ceil(sum(math.log2(queues - drawn) for drawn in range(hand)))


def _rule(found: Found, at: str, rule: flow.PolicyRulesWithSubjects) -> None:
    if not rule.subjects:
        found.required(f"{at}.subjects", "subjects must contain at least one value")
    for path, subject in indexed(f"{at}.subjects", rule.subjects):
        _subject(found, path, subject)
    if not rule.resource_rules and not rule.non_resource_rules:
        found.required(at, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for path, each in indexed(f"{at}.resourceRules", rule.resource_rules):
        _verbs(found, f"{path}.verbs", each.verbs)
        _wild_or_listed(found, f"{path}.apiGroups", each.api_groups, ("api group", "api groups"))
        _wild_or_listed(found, f"{path}.resources", each.resources, ("resource", "resources"))
        _namespaces(found, f"{path}.namespaces", each)
    for path, outside in indexed(f"{at}.nonResourceRules", rule.non_resource_rules):
        _verbs(found, f"{path}.verbs", outside.verbs)
        _urls(found, f"{path}.nonResourceURLs", outside.non_resource_urls)


def _subject(found: Found, at: str, subject: flow.Subject) -> None:
    """The member that the kind names is there, and no other."""
    if subject.kind not in _KINDS:
        found.unsupported(f"{at}.kind", subject.kind, _KINDS)
        return
    for kind, name, value in (
        ("ServiceAccount", "serviceAccount", subject.service_account),
        ("User", "user", subject.user),
        ("Group", "group", subject.group),
    ):
        if kind != subject.kind:
            if value is not None:
                found.forbidden(f"{at}.{name}", f"{name} is forbidden when subject kind is not '{kind}'")
        elif value is None:
            found.required(f"{at}.{name}", f"{name} is required when subject kind is '{kind}'")
        elif not value.name:
            found.required(f"{at}.{name}.name")
    account = subject.service_account
    if subject.kind == "ServiceAccount" and account is not None:
        if account.name and account.name != "*":
            found.check(f"{at}.serviceAccount.name", account.name, names.dns_subdomain)
        if not account.namespace:
            found.required(f"{at}.serviceAccount.namespace", "must specify namespace for service account")
        else:
            found.check(f"{at}.serviceAccount.namespace", account.namespace, names.dns_label)


def _verbs(found: Found, at: str, verbs: Sequence[str]) -> None:
    if not verbs:
        found.required(at, "verbs must contain at least one value")
    elif "*" in verbs:
        if len(verbs) > 1:
            found.invalid(at, verbs, "if '*' is present, must not specify other verbs")
    elif not set(verbs) <= set(_VERBS):
        found.unsupported(at, verbs, _VERBS)


def _wild_or_listed(found: Found, at: str, listed: Sequence[str], noun: tuple[str, str]) -> None:
    if not listed:
        found.required(at, f"resource rules must supply at least one {noun[0]}")
    elif len(listed) > 1 and "*" in listed:
        found.invalid(at, listed, f"if '*' is present, must not specify other {noun[1]}")


def _namespaces(found: Found, at: str, rule: flow.ResourcePolicyRule) -> None:
    if not rule.namespaces and not rule.cluster_scope:
        found.required(at, "resource rules that are not cluster scoped must supply at least one namespace")
    elif "*" in rule.namespaces:
        if len(rule.namespaces) > 1:
            found.invalid(at, rule.namespaces, "if '*' is present, must not specify other namespaces")
    else:
        for path, namespace in indexed(at, rule.namespaces):
            for message in names.dns_label(namespace):
                found.invalid(path, namespace, _NAMESPACE + message)


def _urls(found: Found, at: str, urls: Sequence[str]) -> None:
    if not urls:
        found.required(at, "nonResourceURLs must contain at least one value")
    elif "*" in urls:
        if len(urls) > 1:
            found.invalid(at, urls, "if '*' is present, must not specify other non-resource URLs")
    else:
        for path, url in indexed(at, urls):
            if why := _wrong_with_url(url):
                found.invalid(path, url, why)


def _wrong_with_url(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if "*" in url and (url.count("*") > 1 or not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def _shares(
    found: Found, at: str, level: flow.LimitedPriorityLevelConfiguration | flow.ExemptPriorityLevelConfiguration
) -> None:
    shares, lendable = level.nominal_concurrency_shares, level.lendable_percent
    if shares is not None and shares < 0:
        found.invalid(f"{at}.nominalConcurrencyShares", shares, _WHOLE)
    if lendable is not None and not 0 <= lendable <= 100:
        found.invalid(f"{at}.lendablePercent", lendable, "must be between 0 and 100, inclusive")


def _limited(found: Found, at: str, level: flow.LimitedPriorityLevelConfiguration) -> None:
    _shares(found, at, level)
    limit = level.borrowing_limit_percent
    if limit is not None and limit < 0:
        found.invalid(f"{at}.borrowingLimitPercent", limit, f"if specified, {_WHOLE}")
    at, response = f"{at}.limitResponse", level.limit_response
    if response.type == "Reject":
        if response.queuing is not None:
            found.forbidden(f"{at}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif response.type != "Queue":
        found.unsupported(f"{at}.type", response.type, ("Queue", "Reject"))
    elif response.queuing is None:
        found.required(f"{at}.queuing", "must not be empty if limited.limitResponse.type is Limited")
    else:
        _queuing(found, f"{at}.queuing", response.queuing)


def _queuing(found: Found, at: str, queuing: flow.QueuingConfiguration) -> None:
    queues, hand, length = queuing.queues or 0, queuing.hand_size or 0, queuing.queue_length_limit or 0
    if length <= 0:
        found.invalid(f"{at}.queueLengthLimit", length, "must be positive")
    if queues <= 0:
        found.invalid(f"{at}.queues", queues, "must be positive")
    elif queues > _MAX_QUEUES:
        found.invalid(f"{at}.queues", queues, f"must not be greater than {_MAX_QUEUES}")
    if hand <= 0:
        found.invalid(f"{at}.handSize", hand, "must be positive")
    elif hand > queues:
        found.invalid(f"{at}.handSize", hand, f"should not be greater than queues ({queues})")
    elif entropy_bits(queues, hand) > _MAX_HASH_BITS:
        why = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
        found.invalid(f"{at}.handSize", hand, f"{why} {_MAX_HASH_BITS}")
