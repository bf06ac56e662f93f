"""Disruption budgets, priority classes, runtime classes, leases.

Source: https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/ and the kinds' own pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.computeresources import amounts
from podkeeper.api.validation.fields import IMMUTABLE, Found
from podkeeper.api.validation.metadata import label_map
from podkeeper.api.validation.placement import tolerations
from podkeeper.api.validation.selectors import label_selector
from podkeeper.api.validation.templates import whole_or_percent

if TYPE_CHECKING:
    from podkeeper.api.coordination import v1 as coordination
    from podkeeper.api.node import v1 as node
    from podkeeper.api.policy import v1 as policy
    from podkeeper.api.scheduling import v1 as scheduling

_HIGHEST_USER_PRIORITY = 1_000_000_000
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_NOT_CHANGED = "may not be changed in an update."


def pod_disruption_budget(found: Found, obj: policy.PodDisruptionBudget) -> None:
    """A new or changed budget."""
    spec = obj.spec
    if spec.min_available is not None and spec.max_unavailable is not None:
        found.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    whole_or_percent(found, "spec.minAvailable", spec.min_available)
    whole_or_percent(found, "spec.maxUnavailable", spec.max_unavailable)
    label_selector(found, "spec.selector", spec.selector)
    eviction = spec.unhealthy_pod_eviction_policy
    if eviction and eviction not in ("AlwaysAllow", "IfHealthyBudget"):
        found.unsupported("spec.unhealthyPodEvictionPolicy", eviction, ("AlwaysAllow", "IfHealthyBudget"))


def pod_disruption_budget_update(
    found: Found, new: policy.PodDisruptionBudget, old: policy.PodDisruptionBudget
) -> None:
    """Everything may change."""
    pod_disruption_budget(found, new)


def priority_class(found: Found, obj: scheduling.PriorityClass) -> None:
    """A new class; names that begin with ``system-`` belong to the two that every cluster has."""
    name, value = obj.metadata.name, obj.value or 0
    if name.startswith("system-"):
        if _SYSTEM.get(name) != value:
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            listed = f"{name} is not a known system priority class"
            if name in _SYSTEM:
                listed = f"value of {name} PriorityClass must be {_SYSTEM[name]}"
            found.forbidden("metadata.name", why + listed)
    elif value > _HIGHEST_USER_PRIORITY:
        found.forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}")
    if obj.preemption_policy and obj.preemption_policy not in ("Never", "PreemptLowerPriority"):
        found.unsupported("preemptionPolicy", obj.preemption_policy, ("PreemptLowerPriority", "Never"))


def priority_class_update(found: Found, new: scheduling.PriorityClass, old: scheduling.PriorityClass) -> None:
    """Value and preemption policy stay."""
    if (new.value or 0) != (old.value or 0):
        found.forbidden("value", _NOT_CHANGED)
    if new.preemption_policy != old.preemption_policy:
        found.invalid("preemptionPolicy", new.preemption_policy, IMMUTABLE)


def lease(found: Found, obj: coordination.Lease) -> None:
    """A new or changed lease."""
    found.positive("spec.leaseDurationSeconds", obj.spec.lease_duration_seconds)
    found.not_negative("spec.leaseTransitions", obj.spec.lease_transitions)


def lease_update(found: Found, new: coordination.Lease, old: coordination.Lease) -> None:
    """Everything may change."""
    lease(found, new)


def runtime_class(found: Found, obj: node.RuntimeClass) -> None:
    """A new class."""
    found.check("handler", obj.handler, names.dns_label)
    if obj.overhead is not None:
        amounts(found, "overhead.podFixed", obj.overhead.pod_fixed)
    if obj.scheduling is not None:
        label_map(found, "scheduling.nodeSelector", obj.scheduling.node_selector)
        tolerations(found, "scheduling.tolerations", obj.scheduling.tolerations)


def runtime_class_update(found: Found, new: node.RuntimeClass, old: node.RuntimeClass) -> None:
    """The handler stays."""
    found.unchanged("handler", new.handler, old.handler)
