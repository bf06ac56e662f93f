"""What controllers and kubelets may not write into a status: negative counts, parts larger than the whole, and
containers that come back though they may not.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/ (the kinds' status sections).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import address

if TYPE_CHECKING:
    from podkeeper.api.apps import v1 as apps
    from podkeeper.api.batch import v1 as batch
    from podkeeper.api.core import v1

#: Counts, as (name, attribute).
_Counts = Sequence[tuple[str, str]]

_OBSERVED = ("observedGeneration", "observed_generation")
_REPLICAS = ("replicas", "replicas")
_READY = ("readyReplicas", "ready_replicas")
_AVAILABLE = ("availableReplicas", "available_replicas")
_UPDATED = ("updatedReplicas", "updated_replicas")
_CURRENT = ("currentReplicas", "current_replicas")
_LABELED = ("fullyLabeledReplicas", "fully_labeled_replicas")
_UNAVAILABLE = ("unavailableReplicas", "unavailable_replicas")
_COLLISIONS = ("collisionCount", "collision_count")
_OF_DAEMONS = (
    ("currentNumberScheduled", "current_number_scheduled"),
    ("numberMisscheduled", "number_misscheduled"),
    ("desiredNumberScheduled", "desired_number_scheduled"),
    ("numberReady", "number_ready"),
    _OBSERVED,
    ("updatedNumberScheduled", "updated_number_scheduled"),
    ("numberAvailable", "number_available"),
    ("numberUnavailable", "number_unavailable"),
    _COLLISIONS,
)
_OF_JOBS = (("active", "active"), ("succeeded", "succeeded"), ("failed", "failed"), ("ready", "ready"))
_OF_AUTOSCALERS = (_CURRENT, ("desiredReplicas", "desired_replicas"))


def deployment(found: Found, new: apps.Deployment, old: apps.Deployment) -> None:
    """A Deployment's counts."""
    status = new.status
    _counts(found, status, (_OBSERVED, _REPLICAS, _UPDATED, _READY, _AVAILABLE, _UNAVAILABLE, _COLLISIONS))
    _parts(found, status, (_UPDATED, _READY, _AVAILABLE))
    _available_are_ready(found, status)
    _collisions_stay(found, status, old.status)


def replica_set(found: Found, new: Any, old: Any) -> None:
    """The counts of a ReplicaSet or ReplicationController."""
    status = new.status
    _counts(found, status, (_REPLICAS, _LABELED, _READY, _AVAILABLE, _OBSERVED))
    _parts(found, status, (_LABELED, _READY, _AVAILABLE))
    _available_are_ready(found, status)


def stateful_set(found: Found, new: apps.StatefulSet, old: apps.StatefulSet) -> None:
    """A StatefulSet's counts."""
    status = new.status
    _counts(found, status, (_REPLICAS, _READY, _CURRENT, _UPDATED, _AVAILABLE, _OBSERVED, _COLLISIONS))
    _parts(found, status, (_READY, _CURRENT, _UPDATED, _AVAILABLE))
    _available_are_ready(found, status, "status.readyReplicas")
    _collisions_stay(found, status, old.status)


def daemon_set(found: Found, new: apps.DaemonSet, old: apps.DaemonSet) -> None:
    """A DaemonSet's counts."""
    _counts(found, new.status, _OF_DAEMONS)
    _collisions_stay(found, new.status, old.status)


def job(found: Found, new: batch.Job, old: batch.Job) -> None:
    """A Job's counts."""
    _counts(found, new.status, _OF_JOBS)


def autoscaler(found: Found, new: Any, old: Any) -> None:
    """The counts of an autoscaler of either version."""
    _counts(found, new.status, _OF_AUTOSCALERS)


def pod(found: Found, new: v1.Pod, old: v1.Pod) -> None:
    """A pod's addresses, and containers that have ended for good."""
    status, before = new.status, old.status
    found.not_negative("status.observedGeneration", status.observed_generation)
    if status.nominated_node_name:
        found.check("status.nominatedNodeName", status.nominated_node_name, names.dns_subdomain)
    for path, given in indexed("status.podIPs", status.pod_ips):
        address(found, path, given.ip)
    if before.qos_class:
        found.unchanged("status.qosClass", status.qos_class, before.qos_class)
    own_policy = {each.name for each in (*new.spec.containers, *new.spec.init_containers) if each.restart_policy}
    policy = old.spec.restart_policy
    for name, listed, previous, restarts in (
        ("containerStatuses", status.container_statuses, before.container_statuses, policy),
        ("initContainerStatuses", status.init_container_statuses, before.init_container_statuses, policy),
        (
            "ephemeralContainerStatuses",
            status.ephemeral_container_statuses,
            before.ephemeral_container_statuses,
            "Never",
        ),
    ):
        alive = {each.name for each in listed if each.state.terminated is None} - own_policy
        for path, container in indexed(f"status.{name}", previous):
            if container.name in alive and _for_good(container, restarts):
                found.forbidden(f"{path}.state", "may not be transitioned to non-terminated state")


def _for_good(status: v1.ContainerStatus, policy: str) -> bool:
    """Whether a container has ended and nothing starts it again."""
    terminated = status.state.terminated
    if terminated is None or policy == "Always":
        return False
    return policy != "OnFailure" or terminated.exit_code == 0


def _counts(found: Found, status: Any, counts: _Counts) -> None:
    for name, attribute in counts:
        found.not_negative(f"status.{name}", getattr(status, attribute))


def _parts(found: Found, status: Any, counts: _Counts) -> None:
    whole = status.replicas or 0
    for name, attribute in counts:
        count = getattr(status, attribute) or 0
        if count > whole:
            found.invalid(f"status.{name}", count, "cannot be greater than status.replicas")


def _available_are_ready(found: Found, status: Any, ready: str = "readyReplicas") -> None:
    available = status.available_replicas or 0
    if available > (status.ready_replicas or 0):
        found.invalid("status.availableReplicas", available, f"cannot be greater than {ready}")


def _collisions_stay(found: Found, status: Any, before: Any) -> None:
    if before.collision_count is not None and (status.collision_count or 0) < before.collision_count:
        found.invalid("status.collisionCount", status.collision_count or 0, "cannot be decremented")
