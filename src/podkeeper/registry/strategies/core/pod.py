"""Pods: phase and QoS class at birth, graceful deletion, and what each subresource may change.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and upstream's pod strategy.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api.pods import qos
from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree, keep

#: The DELETE that names a negative grace means "soon", not "at once".
_NEGATIVE_GRACE = 1


class PodStrategy(Strategy):
    """Generation counts changes of the spec; binding is one of them."""

    rules = Rules(generation=True, status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Pending; gated pods say why they wait."""
        status: Tree = {"phase": "Pending"}
        if tree["spec"].get("schedulingGates"):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastTransitionTime": origin.now,
                }
            ]
        tree["status"] = status

    def complete(self, obj: msgspec.Struct) -> msgspec.Struct:
        """With its QoS class."""
        pod: Any = obj
        status = msgspec.structs.replace(pod.status, qos_class=qos.of_spec(pod.spec))
        return msgspec.structs.replace(pod, status=status)  # type: ignore[no-any-return]

    def prepare_for_status_update(self, new: Tree, old: Tree) -> None:
        """The spec and the owners stay; the QoS class cannot change."""
        keep(new, old, "spec")
        keep(new["metadata"], old["metadata"], "ownerReferences")
        status, before = new.setdefault("status", {}), old.get("status") or {}
        if before.get("qosClass") and not status.get("qosClass"):
            status["qosClass"] = before["qosClass"]

    def prepare_for_subresource(self, subresource: str, new: Tree, old: Tree) -> None:
        """``ephemeralcontainers`` and ``resize`` change one part of the spec."""
        if subresource == "ephemeralcontainers":
            _keep_all_but(new, old, {"ephemeralContainers"})
        elif subresource == "resize":
            _keep_all_but_resources(new, old)

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """The spec."""
        after: Any = new
        before: Any = old
        return bool(after.spec != before.spec)

    def grace_period(self, tree: Tree, requested: int | None) -> int:
        """What was asked for, else what the pod says; none for a pod that runs nowhere."""
        spec, phase = tree["spec"], (tree.get("status") or {}).get("phase")
        if not spec.get("nodeName") or phase in ("Failed", "Succeeded"):
            return 0
        period = requested if requested is not None else spec.get("terminationGracePeriodSeconds") or 0
        return _NEGATIVE_GRACE if period < 0 else int(period)


def _keep_all_but(new: Tree, old: Tree, members: set[str]) -> None:
    changed = {member: new["spec"][member] for member in members if member in new["spec"]}
    new["spec"] = {key: value for key, value in old["spec"].items() if key not in members} | changed
    keep(new, old, "status")


def _keep_all_but_resources(new: Tree, old: Tree) -> None:
    """Containers keep everything but resources and resizePolicy; the pod's own resources may change too."""
    spec = dict(old["spec"])
    for member in ("containers", "initContainers"):
        wanted = {each.get("name"): each for each in new["spec"].get(member) or ()}
        if member in spec:
            spec[member] = [_resized(each, wanted.get(each.get("name"))) for each in spec[member]]
    keep(spec, new["spec"], "resources")
    new["spec"] = spec
    keep(new, old, "status")


def _resized(container: Tree, wanted: Tree | None) -> Tree:
    if wanted is None:
        return container
    resized = dict(container)
    for member in ("resources", "resizePolicy"):
        keep(resized, wanted, member)
    return resized
