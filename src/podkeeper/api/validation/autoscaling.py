"""HorizontalPodAutoscalers of both versions.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.validation.computeresources import container_resource_name
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from podkeeper.api.autoscaling import v2

#: type -> (name, attribute) of the member that describes the metric, in the order of the types' names.
_SOURCES = {
    "ContainerResource": ("containerResource", "container_resource"),
    "External": ("external", "external"),
    "Object": ("object", "object"),
    "Pods": ("pods", "pods"),
    "Resource": ("resource", "resource"),
}
_LONGEST_WINDOW = 3600
_LONGEST_PERIOD = 1800
_ABOVE_ZERO = "must be greater than zero"
_EITHER = "must set either a target raw value or a target utilization"
_NOT_BOTH = "may not set both a target raw value and a target utilization"


def autoscaler(found: Found, obj: Any) -> None:
    """A new autoscaler of either version."""
    _spec(found, obj.spec, 1)


def autoscaler_update(found: Found, new: Any, old: Any) -> None:
    """Everything may change; one that could scale to nothing still can."""
    _spec(found, new.spec, 0 if old.spec.min_replicas == 0 else 1)


def _spec(found: Found, spec: Any, lower_bound: int) -> None:
    least = spec.min_replicas
    if least is not None and least < lower_bound:
        found.invalid("spec.minReplicas", least, f"must be greater than or equal to {lower_bound}")
    if spec.max_replicas < 1:
        found.invalid("spec.maxReplicas", spec.max_replicas, "must be greater than 0")
    if least is not None and spec.max_replicas < least:
        found.invalid("spec.maxReplicas", spec.max_replicas, "must be greater than or equal to `minReplicas`")
    _target_object(found, "spec.scaleTargetRef", spec.scale_target_ref)
    for path, metric in indexed("spec.metrics", getattr(spec, "metrics", ())):
        _metric(found, path, metric)
    behavior = getattr(spec, "behavior", None)
    if behavior is not None:
        for name, rules in (("scaleUp", behavior.scale_up), ("scaleDown", behavior.scale_down)):
            if rules is not None:
                _scaling(found, f"spec.behavior.{name}", rules)


def _target_object(found: Found, at: str, target: Any) -> None:
    for name, value in (("kind", target.kind), ("name", target.name)):
        if not value:
            found.required(f"{at}.{name}")
        else:
            found.check(f"{at}.{name}", value, names.path_segment)


def _metric(found: Found, at: str, metric: v2.MetricSpec) -> None:
    """The member that the type names is there, and no other."""
    if not metric.type:
        found.required(f"{at}.type", "must specify a metric source type")
    if metric.type not in _SOURCES:
        found.unsupported(f"{at}.type", metric.type, tuple(_SOURCES))
    given = {name: getattr(metric, attribute) for name, attribute in _SOURCES.values()}
    present = [name for name, source in given.items() if source is not None]
    for name in present[:1]:
        _JUDGES[name](found, f"{at}.{name}", given[name])
    if metric.type not in _SOURCES:
        return
    expected = _SOURCES[metric.type][0]
    if expected not in present:
        found.required(f"{at}.{expected}", "must populate information for the given metric source")
    if len(present) != 1:
        for name in present:
            if name != expected:
                found.forbidden(f"{at}.{name}", "must populate the given metric source only")


def _object(found: Found, at: str, source: v2.ObjectMetricSource) -> None:
    _target_object(found, f"{at}.describedObject", source.described_object)
    _identifier(found, f"{at}.metric", source.metric)
    _target(found, f"{at}.target", source.target)
    if source.target.value is None and source.target.average_value is None:
        found.required(f"{at}.target.averageValue", "must set either a target value or averageValue")


def _external(found: Found, at: str, source: v2.ExternalMetricSource) -> None:
    _identifier(found, f"{at}.metric", source.metric)
    _target(found, f"{at}.target", source.target)
    value, average = source.target.value, source.target.average_value
    if value is None and average is None:
        why = "must set either a target value for metric or a per-pod target"
        found.required(f"{at}.target.averageValue", why)
    if value is not None and average is not None:
        why = "may not set both a target value for metric and a per-pod target"
        found.forbidden(f"{at}.target.value", why)


def _pods(found: Found, at: str, source: v2.PodsMetricSource) -> None:
    _identifier(found, f"{at}.metric", source.metric)
    _target(found, f"{at}.target", source.target)
    if source.target.average_value is None:
        found.required(f"{at}.target.averageValue", "must specify a positive target averageValue")


def _resource(found: Found, at: str, source: v2.ResourceMetricSource) -> None:
    if not source.name:
        found.required(f"{at}.name", "must specify a resource name")
    _resource_target(found, f"{at}.target", source.target)


def _container_resource(found: Found, at: str, source: v2.ContainerResourceMetricSource) -> None:
    if not source.name:
        found.required(f"{at}.name", "must specify a resource name")
    else:
        found.check(f"{at}.name", source.name, container_resource_name)
    if not source.container:
        found.required(f"{at}.container", "must specify a container")
    else:
        found.check(f"{at}.container", source.container, names.dns_label)
    _resource_target(found, f"{at}.target", source.target)


_JUDGES: dict[str, Callable[[Found, str, Any], None]] = {
    "containerResource": _container_resource,
    "external": _external,
    "object": _object,
    "pods": _pods,
    "resource": _resource,
}


def _resource_target(found: Found, at: str, target: v2.MetricTarget) -> None:
    _target(found, at, target)
    if target.average_utilization is None and target.average_value is None:
        found.required(f"{at}.averageUtilization", _EITHER)
    if target.average_utilization is not None and target.average_value is not None:
        found.forbidden(f"{at}.averageValue", _NOT_BOTH)


def _target(found: Found, at: str, target: v2.MetricTarget) -> None:
    if not target.type:
        found.required(f"{at}.type", "must specify a metric target type")
    if target.type not in ("Utilization", "Value", "AverageValue"):
        found.invalid(f"{at}.type", target.type, "must be either Utilization, Value, or AverageValue")
    for name, amount in (("value", target.value), ("averageValue", target.average_value)):
        if amount is not None and amount.sign() <= 0:
            found.invalid(f"{at}.{name}", amount, "must be positive")
    found.positive(f"{at}.averageUtilization", target.average_utilization)


def _identifier(found: Found, at: str, metric: v2.MetricIdentifier) -> None:
    if not metric.name:
        found.required(f"{at}.name", "must specify a metric name")
    else:
        found.check(f"{at}.name", metric.name, names.path_segment)


def _scaling(found: Found, at: str, rules: v2.HPAScalingRules) -> None:
    window = rules.stabilization_window_seconds
    if window is not None and window < 0:
        found.invalid(f"{at}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > _LONGEST_WINDOW:
        found.invalid(f"{at}.stabilizationWindowSeconds", window, f"must be less than or equal to {_LONGEST_WINDOW}")
    if rules.select_policy and rules.select_policy not in ("Disabled", "Max", "Min"):
        found.unsupported(f"{at}.selectPolicy", rules.select_policy, ("Disabled", "Max", "Min"))
    if not rules.policies:
        found.required(f"{at}.policies", "must specify at least one Policy")
    for path, policy in indexed(f"{at}.policies", rules.policies):
        if policy.type not in ("Percent", "Pods"):
            found.unsupported(f"{path}.type", policy.type, ("Percent", "Pods"))
        if policy.value <= 0:
            found.invalid(f"{path}.value", policy.value, _ABOVE_ZERO)
        if policy.period_seconds <= 0:
            found.invalid(f"{path}.periodSeconds", policy.period_seconds, _ABOVE_ZERO)
        if policy.period_seconds > _LONGEST_PERIOD:
            why = f"must be less than or equal to {_LONGEST_PERIOD}"
            found.invalid(f"{path}.periodSeconds", policy.period_seconds, why)
    if rules.tolerance is not None and rules.tolerance.sign() < 0:
        found.invalid(f"{at}.tolerance", rules.tolerance, "must be greater than or equal to zero")
