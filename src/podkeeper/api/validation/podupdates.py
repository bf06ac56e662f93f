"""What may change in a pod that is there: images, the deadline, more tolerations, fewer gates, and little else.

Source: https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from podkeeper.api.pods import qos
from podkeeper.api.validation.fields import Found, indexed, shown

if TYPE_CHECKING:
    from podkeeper.api.core import v1

FORBIDDEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_RESIZE = "only cpu and memory resources for sidecar and non-sidecar containers are mutable"
_MORE_LABELS = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
_MORE_TERMS = "only additions are allowed (no mutations or deletions)"
_SAME_TERMS = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"


def of_pod(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> None:
    """A change of the pod itself."""
    if not _same_containers(found, after, before):
        return
    _images(found, after)
    _deadline(found, after, before)
    _tolerations(found, after, before)
    _gates(found, after, before)
    if before.scheduling_gates:
        _placement_of_gated(found, after, before)
    munged = _with_changeable(after, before)
    if munged != before:
        found.forbidden("spec", f"{FORBIDDEN}\n{_differences(munged, before)}")


def of_ephemeral_containers(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> None:
    """A change through ``ephemeralcontainers``: more of them; those that are there stay as they are."""
    at = "spec.ephemeralContainers"
    wanted = {container.name: container for container in after.ephemeral_containers}
    for container in before.ephemeral_containers:
        present = wanted.get(container.name)
        if present is None:
            found.forbidden(at, f"existing ephemeral containers {shown(container.name)} may not be removed\n")
        elif present != container:
            found.forbidden(at, f"existing ephemeral containers {shown(container.name)} may not be changed\n")


def of_resources(found: Found, new: v1.Pod, old: v1.Pod) -> None:
    """A change through ``resize``: nothing but resources of containers and the pod, and never the QoS class."""
    after, before = new.spec, old.spec
    if not _same_containers(found, after, before):
        return
    for name, new_ones, old_ones in (
        ("containers", after.containers, before.containers),
        ("initContainers", after.init_containers, before.init_containers),
    ):
        for (path, container), was in zip(indexed(f"spec.{name}", new_ones), old_ones, strict=True):
            _nothing_removed(found, f"{path}.resources", container.resources, was.resources)
    changed = replace(
        after,
        containers=_with_resources(after.containers, before.containers),
        init_containers=_with_resources(after.init_containers, before.init_containers),
        resources=before.resources,
    )
    if changed != before:
        found.forbidden("spec", _RESIZE)
    elif qos.of_spec(after) != qos.of_spec(before):
        found.invalid("spec", qos.of_spec(after), "Pod QOS Class may not change as a result of resizing")


def _nothing_removed(found: Found, at: str, after: v1.ResourceRequirements, before: v1.ResourceRequirements) -> None:
    for name, new, old in (
        ("limits", after.limits, before.limits),
        ("requests", after.requests, before.requests),
    ):
        if set(old) - set(new):
            found.forbidden(f"{at}.{name}", f"resource {name} cannot be removed")


def _same_containers(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> bool:
    for name, new, old in (
        ("containers", after.containers, before.containers),
        ("initContainers", after.init_containers, before.init_containers),
    ):
        if len(new) != len(old):
            found.forbidden(f"spec.{name}", "pod updates may not add or remove containers")
            return False
    return True


def _images(found: Found, spec: v1.PodSpec) -> None:
    for name, listed in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for path, container in indexed(f"spec.{name}", listed):
            if not container.image:
                found.required(f"{path}.image")
            elif container.image != container.image.strip():
                found.invalid(f"{path}.image", container.image, "must not have leading or trailing whitespace")


def _deadline(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> None:
    at, new, old = "spec.activeDeadlineSeconds", after.active_deadline_seconds, before.active_deadline_seconds
    if new == old:
        return
    if new is None:
        found.invalid(at, None, "must not update from a positive integer to nil value")
    elif not 0 <= new < 2**31:
        found.invalid(at, new, "must be between 0 and 2147483647, inclusive")
    elif old is not None and new > old:
        found.invalid(at, new, "must be less than or equal to previous value")


def _tolerations(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> None:
    if after.tolerations == before.tolerations:
        return
    timeless = {replace(each, toleration_seconds=None) for each in after.tolerations}
    if any(replace(each, toleration_seconds=None) not in timeless for each in before.tolerations):
        found.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def _gates(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> None:
    known = {gate.name for gate in before.scheduling_gates}
    for path, gate in indexed("spec.schedulingGates", after.scheduling_gates):
        if gate.name not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            found.forbidden(f"{path}.name", why)


def _placement_of_gated(found: Found, after: v1.PodSpec, before: v1.PodSpec) -> None:
    """Where a gated pod may run can be narrowed: more labels, more requirements within a term."""
    if not before.node_selector.items() <= after.node_selector.items():
        found.invalid("spec.nodeSelector", after.node_selector, _MORE_LABELS)
    old, new = _required_terms(before), _required_terms(after)
    at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    if old and len(old) != len(new):
        found.invalid(at, new, _SAME_TERMS)
        return
    for (path, term), was in zip(indexed(at, new), old, strict=False):
        same_start = (
            term.match_expressions[: len(was.match_expressions)] == was.match_expressions
            and term.match_fields[: len(was.match_fields)] == was.match_fields
        )
        if not same_start or (term != was and not was.match_expressions and not was.match_fields):
            found.invalid(path, term, _MORE_TERMS)


def _required_terms(spec: v1.PodSpec) -> tuple[v1.NodeSelectorTerm, ...]:
    nodes = spec.affinity.node_affinity if spec.affinity is not None else None
    required = nodes.required_during_scheduling_ignored_during_execution if nodes is not None else None
    return required.node_selector_terms if required is not None else ()


def _with_changeable(after: v1.PodSpec, before: v1.PodSpec) -> v1.PodSpec:
    """The new specification with the old one's values wherever a change is allowed."""
    grace = after.termination_grace_period_seconds
    was = before.termination_grace_period_seconds
    changes: dict[str, Any] = {
        "containers": _with_images(after.containers, before.containers),
        "init_containers": _with_images(after.init_containers, before.init_containers),
        "active_deadline_seconds": before.active_deadline_seconds,
        "tolerations": before.tolerations,
        "scheduling_gates": before.scheduling_gates,
        "termination_grace_period_seconds": was if was is not None and was < 0 and grace == 1 else grace,
    }
    if before.scheduling_gates:
        changes["node_selector"] = before.node_selector
        changes["affinity"] = _with_node_affinity(after.affinity, before.affinity)
    return replace(after, **changes)


def _with_node_affinity(after: v1.Affinity | None, before: v1.Affinity | None) -> v1.Affinity | None:
    """The new affinity with the old one's part about nodes; what then is empty counts as absent, as before."""
    had = before.node_affinity if before is not None else None
    if after is None:
        return replace(before, pod_affinity=None, pod_anti_affinity=None) if before is not None and had else None
    if before is None and after.pod_affinity is None and after.pod_anti_affinity is None:
        return None
    return replace(after, node_affinity=had)


def _with_images(after: tuple[v1.Container, ...], before: tuple[v1.Container, ...]) -> tuple[v1.Container, ...]:
    return tuple(replace(new, image=old.image) for new, old in zip(after, before, strict=True))


def _with_resources(after: tuple[v1.Container, ...], before: tuple[v1.Container, ...]) -> tuple[v1.Container, ...]:
    pairs = zip(after, before, strict=True)
    return tuple(replace(new, resources=old.resources, resize_policy=old.resize_policy) for new, old in pairs)


def _differences(after: v1.PodSpec, before: v1.PodSpec) -> str:
    """The members that differ, old and new, one a line."""
    lines = []
    for name in after.__struct_fields__:
        new, old = getattr(after, name), getattr(before, name)
        if new != old:
            lines += [f"- {name}: {shown(old)}", f"+ {name}: {shown(new)}"]
    return "\n".join(lines)
