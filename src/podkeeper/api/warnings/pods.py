"""Pods and their templates: placement, annotations, names that are there twice, amounts that cannot be.

Source: upstream's pkg/api/pod (GetWarningsForPod, GetWarningsForPodTemplate).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.warnings import addresses, nodelabels
from podkeeper.api.warnings.containers import of_containers
from podkeeper.api.warnings.paths import of_overlapping_paths
from podkeeper.api.warnings.volumes import fractional, of_claim_spec

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.quantity import Quantity

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
_NO_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NO_SELECTOR = "a null labelSelector results in matching no pod"
#: Sources of volumes that went: attribute, field, what happened to them.
_VOLUMES = (
    ("photon_persistent_disk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("git_repo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scale_io", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)


def pod(new: v1.Pod, old: v1.Pod | None) -> Iterator[str]:
    """A new pod. Changes come from programs, whom nobody reads warnings to."""
    if old is not None:
        return
    name = new.metadata.name
    if messages := names.dns_label(name):
        why = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended"
        yield f"metadata.name: {why}: [{' '.join(messages)}]"
    yield from of_spec("", new.spec, new.metadata.annotations)


def template(at: str, value: v1.PodTemplateSpec | None) -> Iterator[str]:
    """The template at ``at``."""
    if value is not None:
        yield from of_spec(f"{at}.", value.spec, value.metadata.annotations)


def of_spec(at: str, spec: v1.PodSpec, annotations: Mapping[str, str]) -> Iterator[str]:
    """A pod's spec and annotations; ``at`` is empty, or the template's path with a dot."""
    where = f"{at}spec"
    yield from nodelabels.of_map(f"{where}.nodeSelector", spec.node_selector)
    if spec.affinity is not None and spec.affinity.node_affinity is not None:
        yield from _node_affinity(f"{where}.affinity.nodeAffinity", spec.affinity.node_affinity)
    for index, spread in enumerate(spec.topology_spread_constraints):
        yield from nodelabels.of_key(f"{where}.topologySpreadConstraints[{index}].topologyKey", spread.topology_key)
        if spread.label_selector is None:
            yield f"{where}.topologySpreadConstraints[{index}].labelSelector: {_NO_SELECTOR}"
    for key, what in _ANNOTATIONS.items() if annotations else ():
        if key in annotations:
            yield f"{at}metadata.annotations[{key}]: {what}"
    for index, volume in enumerate(spec.volumes):
        yield from _volume(f"{where}.volumes[{index}]", volume)
    yield from of_overlapping_paths(spec.volumes)
    yield from _twice(f"{where}.hostAliases", "ip", (each.ip for each in spec.host_aliases))
    yield from _twice(f"{where}.imagePullSecrets", "name", (each.name for each in spec.image_pull_secrets))
    for index, secret in enumerate(spec.image_pull_secrets):
        if not secret.name:
            yield f'{where}.imagePullSecrets[{index}].name: invalid empty name ""'
    yield from of_amounts(f"{where}.overhead", spec.overhead)
    if _SECCOMP in annotations and (spec.security_context is None or spec.security_context.seccomp_profile is None):
        yield f"{at}metadata.annotations[{_SECCOMP}]: {_NO_SECCOMP}"
    yield from of_containers(at, spec, annotations)
    if (spec.termination_grace_period_seconds or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{where}.terminationGracePeriodSeconds: {why}"
    if spec.affinity is not None:
        yield from _pod_affinity(f"{where}.affinity.podAffinity", spec.affinity.pod_affinity)
        yield from _pod_affinity(f"{where}.affinity.podAntiAffinity", spec.affinity.pod_anti_affinity)
    yield from _addresses(where, spec)


def of_amounts(at: str, amounts: Mapping[str, Quantity]) -> Iterator[str]:
    """Memory and storage that are not whole bytes."""
    for name in ("memory", "ephemeral-storage"):
        if name in amounts:
            yield from fractional(f"{at}[{name}]", amounts[name])


def _node_affinity(at: str, affinity: v1.NodeAffinity) -> Iterator[str]:
    required = affinity.required_during_scheduling_ignored_during_execution
    for index, term in enumerate(required.node_selector_terms if required is not None else ()):
        where = f"{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]"
        yield from nodelabels.of_term(where, term)
    for index, preferred in enumerate(affinity.preferred_during_scheduling_ignored_during_execution):
        where = f"{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference"
        yield from nodelabels.of_term(where, preferred.preference, judge_values=True)


def _pod_affinity(at: str, affinity: v1.PodAffinity | v1.PodAntiAffinity | None) -> Iterator[str]:
    if affinity is None:
        return
    for index, term in enumerate(affinity.required_during_scheduling_ignored_during_execution):
        if term.label_selector is None:
            yield f"{at}.requiredDuringSchedulingIgnoredDuringExecution[{index}].labelSelector: {_NO_SELECTOR}"
    for index, weighted in enumerate(affinity.preferred_during_scheduling_ignored_during_execution):
        if weighted.pod_affinity_term.label_selector is None:
            where = f"{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm.labelSelector"
            yield f"{where}: {_NO_SELECTOR}"


def _volume(at: str, volume: Any) -> Iterator[str]:
    if volume.projected is not None or volume.config_map is not None or volume.empty_dir is not None:
        return  # the usual ones are of today
    for attribute, name, what in _VOLUMES:
        if getattr(volume, attribute) is not None:
            yield f"{at}.{name}: {what}"
    if volume.ephemeral is not None and volume.ephemeral.volume_claim_template is not None:
        yield from of_claim_spec(
            f"{at}.ephemeral.volumeClaimTemplate.spec", volume.ephemeral.volume_claim_template.spec
        )


def _twice(at: str, member: str, values: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield f'{at}[{index}].{member}: duplicate {member} "{value}"'
        seen.add(value)


def _addresses(at: str, spec: v1.PodSpec) -> Iterator[str]:
    for index, server in enumerate(spec.dns_config.nameservers if spec.dns_config is not None else ()):
        yield from addresses.of_address(f"{at}.dnsConfig.nameservers[{index}]", server)
    for index, alias in enumerate(spec.host_aliases):
        yield from addresses.of_address(f"{at}.hostAliases[{index}].ip", alias.ip)
