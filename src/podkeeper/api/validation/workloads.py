"""ReplicationControllers, ReplicaSets, Deployments, StatefulSets and DaemonSets.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.metadata import label_map
from podkeeper.api.validation.persistentvolumeclaims import claim_spec
from podkeeper.api.validation.templates import (
    MISMATCH,
    at_most_all,
    is_zero,
    numbers,
    running,
    selector_of,
    template,
    whole_or_percent,
)

if TYPE_CHECKING:
    from podkeeper.api.apps import v1 as apps
    from podkeeper.api.core import v1

_CHANGEABLE_IN_SETS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_BOTH_ZERO = "may not be 0 when `{}` is 0"
_REPLICAS = ("replicas", "replicas")
_READY = ("minReadySeconds", "min_ready_seconds")
_HISTORY = ("revisionHistoryLimit", "revision_history_limit")


def replication_controller(found: Found, obj: v1.ReplicationController) -> None:
    """A new or changed ReplicationController."""
    spec = obj.spec
    numbers(found, "spec", spec, (_READY, _REPLICAS))
    label_map(found, "spec.selector", spec.selector)
    if not spec.selector:
        found.required("spec.selector")
    if spec.replicas is None:
        found.required("spec.replicas")
    if spec.template is None:
        found.required("spec.template")
        return
    pod_labels = spec.template.metadata.labels
    if any(pod_labels.get(key) != value for key, value in spec.selector.items()):
        found.invalid("spec.template.metadata.labels", pod_labels, MISMATCH)
    running(found, "spec.template", spec.template, "ReplicationController")


def replication_controller_update(found: Found, new: v1.ReplicationController, old: v1.ReplicationController) -> None:
    """Everything may change."""
    replication_controller(found, new)


def replica_set(found: Found, obj: apps.ReplicaSet) -> None:
    """A new ReplicaSet."""
    numbers(found, "spec", obj.spec, (_REPLICAS, _READY))
    selector_of(found, obj.spec.selector, obj.spec.template.metadata.labels, "deployment")
    running(found, "spec.template", obj.spec.template, "ReplicaSet")


def replica_set_update(found: Found, new: apps.ReplicaSet, old: apps.ReplicaSet) -> None:
    """The selector stays."""
    replica_set(found, new)
    found.unchanged("spec.selector", new.spec.selector, old.spec.selector)


def deployment(found: Found, obj: apps.Deployment) -> None:
    """A new Deployment."""
    spec = obj.spec
    numbers(found, "spec", spec, (_REPLICAS,))
    selector_of(found, spec.selector, spec.template.metadata.labels, "deployment")
    running(found, "spec.template", spec.template, "ReplicaSet")
    _deployment_strategy(found, spec.strategy)
    numbers(found, "spec", spec, (_READY, _HISTORY))
    deadline = spec.progress_deadline_seconds
    if deadline is not None:
        found.not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= (spec.min_ready_seconds or 0):
            found.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def deployment_update(found: Found, new: apps.Deployment, old: apps.Deployment) -> None:
    """The selector stays."""
    deployment(found, new)
    found.unchanged("spec.selector", new.spec.selector, old.spec.selector)


def stateful_set(found: Found, obj: apps.StatefulSet) -> None:
    """A new StatefulSet."""
    spec = obj.spec
    if spec.pod_management_policy not in ("OrderedReady", "Parallel"):
        _enumerated(found, "spec.podManagementPolicy", spec.pod_management_policy, "'OrderedReady' or 'Parallel'")
    strategy = spec.update_strategy
    if strategy.type == "OnDelete":
        if strategy.rolling_update is not None:
            why = "only allowed for updateStrategy 'RollingUpdate'"
            found.invalid("spec.updateStrategy.rollingUpdate", strategy.rolling_update, why)
    elif strategy.type != "RollingUpdate":
        _unknown_set_strategy(found, strategy)
    elif strategy.rolling_update is not None:
        at = "spec.updateStrategy.rollingUpdate"
        found.not_negative(f"{at}.partition", strategy.rolling_update.partition)
        unavailable = strategy.rolling_update.max_unavailable
        whole_or_percent(found, f"{at}.maxUnavailable", unavailable)
        if unavailable is not None and is_zero(unavailable):
            found.invalid(f"{at}.maxUnavailable", unavailable, "cannot be 0")
        at_most_all(found, f"{at}.maxUnavailable", unavailable)
    _retention(found, spec)
    numbers(found, "spec", spec, (_REPLICAS, _READY, _HISTORY))
    if spec.ordinals is not None:
        found.not_negative("spec.ordinals.start", spec.ordinals.start)
    selector_of(found, spec.selector, spec.template.metadata.labels, "statefulset")
    _set_template(found, spec)
    for path, claim in indexed("spec.volumeClaimTemplates", spec.volume_claim_templates):
        claim_spec(found, f"{path}.spec", claim.spec)


def stateful_set_update(found: Found, new: apps.StatefulSet, old: apps.StatefulSet) -> None:
    """Claims, selector, service and management policy stay."""
    stateful_set(found, new)
    before = old.spec
    changeable = replace(
        new.spec,
        replicas=before.replicas,
        template=before.template,
        update_strategy=before.update_strategy,
        min_ready_seconds=before.min_ready_seconds,
        ordinals=before.ordinals,
        revision_history_limit=before.revision_history_limit,
        persistent_volume_claim_retention_policy=before.persistent_volume_claim_retention_policy,
    )
    if changeable != before:
        found.forbidden("spec", _CHANGEABLE_IN_SETS)


def daemon_set(found: Found, obj: apps.DaemonSet) -> None:
    """A new DaemonSet."""
    spec = obj.spec
    selector_of(found, spec.selector, spec.template.metadata.labels, "daemonset")
    running(found, "spec.template", spec.template, "DaemonSet")
    numbers(found, "spec", spec, (_READY,))
    strategy = spec.update_strategy
    if strategy.type == "RollingUpdate":
        if strategy.rolling_update is None:
            found.required("spec.updateStrategy.rollingUpdate")
        else:
            _daemon_rolling(found, strategy.rolling_update)
    elif strategy.type != "OnDelete":
        found.unsupported("spec.updateStrategy.type", strategy.type, ("RollingUpdate", "OnDelete"))
    numbers(found, "spec", spec, (_HISTORY,))


def daemon_set_update(found: Found, new: apps.DaemonSet, old: apps.DaemonSet) -> None:
    """The selector stays."""
    daemon_set(found, new)
    found.unchanged("spec.selector", new.spec.selector, old.spec.selector)


def pod_template(found: Found, obj: v1.PodTemplate) -> None:
    """A template stored by itself."""
    template(found, "template", obj.template)


def pod_template_update(found: Found, new: v1.PodTemplate, old: v1.PodTemplate) -> None:
    """Everything may change."""
    pod_template(found, new)


def controller_revision(found: Found, obj: apps.ControllerRevision) -> None:
    """A remembered state of a workload."""
    if obj.data is None:
        found.required("data", "data is mandatory")
    found.not_negative("revision", obj.revision)


def controller_revision_update(found: Found, new: apps.ControllerRevision, old: apps.ControllerRevision) -> None:
    """What was remembered stays."""
    controller_revision(found, new)
    found.unchanged("data", new.data, old.data)


def _deployment_strategy(found: Found, strategy: apps.DeploymentStrategy) -> None:
    at = "spec.strategy"
    rolling = strategy.rolling_update
    if strategy.type == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            found.forbidden(f"{at}.rollingUpdate", why)
    elif strategy.type != "RollingUpdate":
        found.unsupported(f"{at}.type", strategy.type, ("Recreate", "RollingUpdate"))
    elif rolling is None:
        found.required(f"{at}.rollingUpdate", "this should be defaulted and never be nil")
    else:
        at = f"{at}.rollingUpdate"
        whole_or_percent(found, f"{at}.maxUnavailable", rolling.max_unavailable)
        whole_or_percent(found, f"{at}.maxSurge", rolling.max_surge)
        if is_zero(rolling.max_unavailable) and is_zero(rolling.max_surge):
            found.invalid(f"{at}.maxUnavailable", rolling.max_unavailable, _BOTH_ZERO.format("maxSurge"))
        at_most_all(found, f"{at}.maxUnavailable", rolling.max_unavailable)


def _daemon_rolling(found: Found, rolling: apps.RollingUpdateDaemonSet) -> None:
    at = "spec.updateStrategy.rollingUpdate"
    unavailable, surge = rolling.max_unavailable, rolling.max_surge
    whole_or_percent(found, f"{at}.maxUnavailable", unavailable)
    at_most_all(found, f"{at}.maxUnavailable", unavailable)
    whole_or_percent(found, f"{at}.maxSurge", surge)
    at_most_all(found, f"{at}.maxSurge", surge)
    if not is_zero(unavailable) and not is_zero(surge):
        found.invalid(f"{at}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif is_zero(unavailable) and is_zero(surge):
        found.required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def _set_template(found: Found, spec: apps.StatefulSetSpec) -> None:
    """A set's template mounts the claims that each of its pods gets."""
    from podkeeper.api.core import v1

    claimed = {claim.metadata.name for claim in spec.volume_claim_templates}
    kept = tuple(volume for volume in spec.template.spec.volumes if volume.name not in claimed)
    claims = tuple(
        v1.Volume(name=name, persistent_volume_claim=v1.PersistentVolumeClaimVolumeSource(claim_name=name))
        for name in sorted(claimed)
    )
    whole = replace(spec.template, spec=replace(spec.template.spec, volumes=kept + claims))
    running(found, "spec.template", whole, "StatefulSet")


def _retention(found: Found, spec: apps.StatefulSetSpec) -> None:
    policy, at = spec.persistent_volume_claim_retention_policy, "spec.persistentVolumeClaimRetentionPolicy"
    if policy is None:
        return
    for name, value in (("whenDeleted", policy.when_deleted), ("whenScaled", policy.when_scaled)):
        if value not in ("Delete", "Retain"):
            found.unsupported(f"{at}.{name}", value, ("Retain", "Delete"))


def _unknown_set_strategy(found: Found, strategy: apps.StatefulSetUpdateStrategy) -> None:
    """Shown as the server's own form of it, whose members begin with capitals."""
    if not strategy.type:
        found.required("spec.updateStrategy")
    else:
        given = {"Type": strategy.type, "RollingUpdate": strategy.rolling_update}
        found.invalid("spec.updateStrategy", given, "must be 'RollingUpdate' or 'OnDelete'")


def _enumerated(found: Found, at: str, value: str, supported: str) -> None:
    if value:
        found.invalid(at, value, f"must be {supported}")
    else:
        found.required(at)
