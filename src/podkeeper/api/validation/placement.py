"""Where a pod may run: affinity, tolerations, spreading.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.selectors import label_selector, node_selector, node_selector_term

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NOT_POSITIVE = "must be greater than zero"
_ALL_KEYS = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
_HONOR = ("Honor", "Ignore")
_SPREAD = ("DoNotSchedule", "ScheduleAnyway")


def affinity(found: Found, at: str, value: v1.Affinity) -> None:
    """Affinity to nodes and to other pods."""
    nodes = value.node_affinity
    if nodes is not None:
        path = f"{at}.nodeAffinity"
        if nodes.required_during_scheduling_ignored_during_execution is not None:
            node_selector(found, f"{path}.{_REQUIRED}", nodes.required_during_scheduling_ignored_during_execution)
        preferred = nodes.preferred_during_scheduling_ignored_during_execution
        for inner, term in indexed(f"{path}.{_PREFERRED}", preferred):
            _weight(found, inner, term.weight)
            node_selector_term(found, f"{inner}.preference", term.preference, strict=False)
    for name, pods in (("podAffinity", value.pod_affinity), ("podAntiAffinity", value.pod_anti_affinity)):
        if pods is None:
            continue
        required = pods.required_during_scheduling_ignored_during_execution
        for inner, term in indexed(f"{at}.{name}.{_REQUIRED}", required):
            _pod_term(found, inner, term)
        weighted = pods.preferred_during_scheduling_ignored_during_execution
        for inner, term in indexed(f"{at}.{name}.{_PREFERRED}", weighted):
            _weight(found, inner, term.weight)
            _pod_term(found, f"{inner}.podAffinityTerm", term.pod_affinity_term)


def tolerations(found: Found, at: str, listed: tuple[v1.Toleration, ...]) -> None:
    """Which taints the pod bears."""
    for index, each in enumerate(listed):
        path = f"{at}[{index}]"
        if each.key:
            found.check(f"{path}.key", each.key, names.label_key)
        elif each.operator != "Exists":
            found.invalid(f"{path}.operator", each.operator, _ALL_KEYS)
        if each.toleration_seconds is not None and each.effect != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.invalid(f"{path}.effect", each.effect, why)
        if each.operator in ("", "Equal"):
            found.check(f"{path}.operator", each.value, names.label_value)
        elif each.operator == "Exists":
            if each.value:
                found.invalid(f"{path}.operator", each.value, "value must be empty when `operator` is 'Exists'")
        else:
            found.unsupported(f"{path}.operator", each.operator, ("Equal", "Exists"))
        if each.effect and each.effect not in _EFFECTS:
            found.unsupported(f"{path}.effect", each.effect, _EFFECTS)


def spreading(found: Found, at: str, listed: tuple[v1.TopologySpreadConstraint, ...]) -> None:
    """How evenly pods of one kind lie on a topology."""
    seen = set()
    for path, each in indexed(at, listed):
        _spread(found, path, each)
        pair = f"{{{each.topology_key}, {each.when_unsatisfiable}}}"
        if pair in seen:
            found.duplicate(f"{path}.{{topologyKey, whenUnsatisfiable}}", pair)
        seen.add(pair)


def _spread(found: Found, at: str, each: v1.TopologySpreadConstraint) -> None:
    if each.max_skew <= 0:
        found.invalid(f"{at}.maxSkew", each.max_skew, _NOT_POSITIVE)
    _topology(found, f"{at}.topologyKey", each.topology_key)
    if each.when_unsatisfiable not in _SPREAD:
        found.unsupported(f"{at}.whenUnsatisfiable", each.when_unsatisfiable, _SPREAD)
    if each.min_domains is not None:
        if each.min_domains <= 0:
            found.invalid(f"{at}.minDomains", each.min_domains, _NOT_POSITIVE)
        if each.when_unsatisfiable != "DoNotSchedule":
            why = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
            found.invalid(f"{at}.minDomains", each.min_domains, f"{why}not {each.when_unsatisfiable}")
    for name, policy in (
        ("nodeAffinityPolicy", each.node_affinity_policy),
        ("nodeTaintsPolicy", each.node_taints_policy),
    ):
        if policy and policy not in _HONOR:
            found.unsupported(f"{at}.{name}", policy, _HONOR)
    label_selector(found, f"{at}.labelSelector", each.label_selector)
    label_keys(found, at, "matchLabelKeys", each.match_label_keys, each.label_selector is None)


def label_keys(found: Found, at: str, name: str, keys: tuple[str, ...], without_selector: bool) -> None:
    """Keys whose values are taken from the pod itself; they need a selector to join."""
    if keys and without_selector:
        found.forbidden(f"{at}.{name}", "must not be specified when labelSelector is not set")
    for path, key in indexed(f"{at}.{name}", keys):
        found.check(path, key, names.label_key)


def _weight(found: Found, at: str, weight: int) -> None:
    if not 1 <= weight <= 100:
        found.invalid(f"{at}.weight", weight, "must be in the range 1-100")


def _pod_term(found: Found, at: str, term: v1.PodAffinityTerm) -> None:
    label_selector(found, f"{at}.labelSelector", term.label_selector)
    label_selector(found, f"{at}.namespaceSelector", term.namespace_selector)
    for name in term.namespaces:
        found.check(f"{at}.namespace", name, names.dns_label)  # upstream's spelling
    label_keys(found, at, "matchLabelKeys", term.match_label_keys, term.label_selector is None)
    label_keys(found, at, "mismatchLabelKeys", term.mismatch_label_keys, term.label_selector is None)
    if not term.topology_key:
        found.required(f"{at}.topologyKey", "can not be empty")
    found.check(f"{at}.topologyKey", term.topology_key, names.label_key)


def _topology(found: Found, at: str, key: str) -> None:
    if not key:
        found.required(at, "can not be empty")
    else:
        found.check(at, key, names.label_key)
