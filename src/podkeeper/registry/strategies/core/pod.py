"""Pods: phase and QoS class at birth, graceful deletion, and what each subresource may change.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and upstream's pod strategy.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api.pods import qos
from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree, keep, keep_metadata
from podkeeper.registry.strategies.core import pod_apparmor, pod_label_keys

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
        pod_label_keys.merge(tree)
        pod_apparmor.take_over(tree, origin.warnings)

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
        _keep_observed_generations(status, before)

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


def _keep_observed_generations(status: Tree, before: Tree) -> None:
    """A client that does not know them does not clear them."""
    if before.get("observedGeneration"):
        status.setdefault("observedGeneration", before["observedGeneration"])
    known: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        known.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        generations = known.get(condition.get("type", ""))
        generation = generations.pop(0) if generations else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def _keep_all_but(new: Tree, old: Tree, members: set[str]) -> None:
    changed = {member: new["spec"][member] for member in members if member in new["spec"]}
    new["spec"] = {key: value for key, value in old["spec"].items() if key not in members} | changed
    keep(new, old, "status")
    keep_metadata(new, old)


def _keep_all_but_resources(new: Tree, old: Tree) -> None:
    """Containers keep everything but resources and resizePolicy; the pod's own resources may change too.

    Where containers come, go or change places, nothing is kept, and validation refuses the change.
    """
    spec = dict(old["spec"])
    for member in ("containers", "initContainers"):
        wanted, present = new["spec"].get(member) or [], spec.get(member) or []
        if [each.get("name") for each in wanted] != [each.get("name") for each in present]:
            return
        if present:
            spec[member] = [_resized(*pair) for pair in zip(present, wanted, strict=True)]
    keep(spec, new["spec"], "resources")
    new["spec"] = spec
    keep(new, old, "status")
    keep_metadata(new, old)


def _resized(container: Tree, wanted: Tree) -> Tree:
    resized = dict(container)
    for member in ("resources", "resizePolicy"):
        keep(resized, wanted, member)
    return resized
