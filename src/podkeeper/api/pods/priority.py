"""Priority: whose pods come first when there is not room for all.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podkeeper.api.core import v1

DEFAULT = 0
HIGHEST_USER_DEFINABLE = 1_000_000_000
SYSTEM_CRITICAL = 2 * HIGHEST_USER_DEFINABLE
SYSTEM_CLASSES = {"system-cluster-critical": SYSTEM_CRITICAL, "system-node-critical": SYSTEM_CRITICAL + 1000}
SYSTEM_PREFIX = "system-"


def of_pod(pod: v1.Pod) -> int:
    """The pod's priority, 0 when admission set none."""
    return pod.spec.priority or DEFAULT if pod.spec else DEFAULT


def is_critical(pod: v1.Pod) -> bool:
    """Whether the pod belongs to the system, which the node evicts last."""
    return of_pod(pod) >= SYSTEM_CRITICAL


def may_preempt(pod: v1.Pod) -> bool:
    """Whether the pod may push others out."""
    return pod.spec is None or pod.spec.preemption_policy != "Never"
