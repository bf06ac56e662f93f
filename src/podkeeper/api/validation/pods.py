"""Pods: the specification as a whole, and pods that are new. What may change later stands in ``podupdates``.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.pods import requests
from podkeeper.api.validation import computeresources, containers, placement, podupdates, security
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.metadata import label_map
from podkeeper.api.validation.paths import address
from podkeeper.api.validation.volumes import volumes

if TYPE_CHECKING:
    from podkeeper.api.core import v1

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("PreemptLowerPriority", "Never")
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_LENGTH = 2048
_MAX_SECONDS = 2**31 - 1
_DEFAULT_GRACE = 30
_MIRROR = "kubernetes.io/config.mirror"
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_INTEGER = re.compile("0|-?[1-9][0-9]*")


def pod(found: Found, obj: v1.Pod) -> None:
    """A new pod."""
    spec = obj.spec
    _annotations(found, obj)
    pod_spec(found, "spec", spec)
    if spec.ephemeral_containers:
        found.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.node_name and spec.scheduling_gates:
        found.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")


def pod_update(found: Found, new: v1.Pod, old: v1.Pod) -> None:
    """A changed pod: only what may change has changed, and it is good."""
    if new.metadata.annotations != old.metadata.annotations:
        _annotations(found, new)
        _mirror_stays(found, new.metadata.annotations.get(_MIRROR), old.metadata.annotations.get(_MIRROR))
    if new.spec == old.spec:
        return
    podupdates.of_pod(found, new.spec, old.spec)
    if not found:
        pod_spec(found, "spec", new.spec)


def ephemeral_containers_update(found: Found, new: v1.Pod, old: v1.Pod) -> None:
    """A pod changed through ``ephemeralcontainers``."""
    podupdates.of_ephemeral_containers(found, new.spec, old.spec)
    if not found:
        pod_spec(found, "spec", new.spec)


def resize_update(found: Found, new: v1.Pod, old: v1.Pod) -> None:
    """A pod changed through ``resize``."""
    podupdates.of_resources(found, new, old)
    if not found:
        pod_spec(found, "spec", new.spec)


def pod_spec(found: Found, at: str, spec: v1.PodSpec, *, whole: bool = True) -> None:
    """Everything that a pod's specification must keep to; ``whole`` is false for a template."""
    grace = spec.termination_grace_period_seconds
    surroundings = containers.Surroundings(
        volumes=volumes(found, f"{at}.volumes", spec.volumes),
        claims=_resource_claims(found, f"{at}.resourceClaims", spec),
        host_network=bool(spec.host_network),
        host_users=spec.host_users,
        grace=_DEFAULT_GRACE if grace is None else grace,
        whole=whole,
    )
    containers.app_containers(found, f"{at}.containers", spec.containers, surroundings)
    if spec.init_containers:
        init = f"{at}.initContainers"
        containers.init_containers(found, init, spec.init_containers, spec.containers, surroundings)
    if spec.ephemeral_containers:
        containers.ephemeral_containers(found, f"{at}.ephemeralContainers", spec, surroundings)
    if spec.resources is not None:
        _pod_level_resources(found, f"{at}.resources", spec)
    found.one_of(f"{at}.restartPolicy", spec.restart_policy, RESTART_POLICIES)
    found.one_of(f"{at}.dnsPolicy", spec.dns_policy, _DNS_POLICIES)
    label_map(found, f"{at}.nodeSelector", spec.node_selector)
    security.pod_context(found, f"{at}.securityContext", spec)
    if spec.affinity is not None:
        placement.affinity(found, f"{at}.affinity", spec.affinity)
    _dns(found, f"{at}.dnsConfig", spec)
    _gates(found, at, spec)
    if spec.topology_spread_constraints:
        placement.spreading(found, f"{at}.topologySpreadConstraints", spec.topology_spread_constraints)
    _names(found, at, spec)
    _rest(found, at, spec)


def _annotations(found: Found, obj: v1.Pod) -> None:
    """Annotations that mean something to the server."""
    given = obj.metadata.annotations
    if _MIRROR in given and not obj.spec.node_name:
        why = "must set spec.nodeName if mirror pod annotation is set"
        found.invalid(f"metadata.annotations[{_MIRROR}]", given[_MIRROR], why)
    cost = given.get(_DELETION_COST)
    if cost is not None and not (_INTEGER.fullmatch(cost) and -(2**31) <= int(cost) < 2**31):
        found.invalid(f"metadata.annotations[{_DELETION_COST}]", cost, "must be a 32bit integer")


def _mirror_stays(found: Found, new: str | None, old: str | None) -> None:
    if new != old:
        verb = "add" if old is None else "remove or update"
        found.forbidden(f"metadata.annotations[{_MIRROR}]", f"may not {verb} mirror pod annotation")


def _pod_level_resources(found: Found, at: str, spec: v1.PodSpec) -> None:
    """The pod's own requests and limits hold what its containers ask for and may use."""
    own = spec.resources
    if own is None:
        return
    if own.claims:
        found.forbidden(f"{at}.claims", "claims cannot be set for Resources at pod-level")
    computeresources.requirements(found, at, own)
    for name, asked in requests.of_containers(spec).items():
        granted = own.requests.get(name)
        if granted is not None and asked > granted:
            why = f"must be greater than or equal to aggregate container requests of {asked}"
            found.invalid(f"{at}.requests[{name}]", str(granted), why)
    for path, container in indexed(f"{at}.containers", spec.containers):
        for name, limit in container.resources.limits.items():
            whole = own.limits.get(name)
            if whole is not None and limit > whole:
                found.invalid(
                    f"{path}[{name}].limits", str(limit), f"must be less than or equal to pod limits of {whole}"
                )


def _gates(found: Found, at: str, spec: v1.PodSpec) -> None:
    for path, gate in indexed(f"{at}.readinessGates", spec.readiness_gates):
        found.check(f"{path}.conditionType", gate.condition_type, names.qualified_name)
    seen = set()
    for path, gate in indexed(f"{at}.schedulingGates", spec.scheduling_gates):
        found.check(path, gate.name, names.qualified_name)
        if gate.name in seen:
            found.duplicate(path, gate.name)
        seen.add(gate.name)


def _names(found: Found, at: str, spec: v1.PodSpec) -> None:
    """References to other objects, the pod's names in the DNS, and how long it may run."""
    _checked(found, f"{at}.serviceAccountName", spec.service_account_name, names.dns_subdomain)
    _checked(found, f"{at}.nodeName", spec.node_name, names.dns_subdomain)
    deadline = spec.active_deadline_seconds
    if deadline is not None and not 1 <= deadline <= _MAX_SECONDS:
        found.invalid(f"{at}.activeDeadlineSeconds", deadline, names.range_message(1, _MAX_SECONDS))
    _checked(found, f"{at}.hostname", spec.hostname, names.dns_label)
    _checked(found, f"{at}.subdomain", spec.subdomain, names.dns_label)
    if spec.hostname_override:
        found.check(f"{at}.hostnameOverride", spec.hostname_override, names.dns_subdomain)
        if spec.host_network:
            found.forbidden(f"{at}.hostnameOverride", "may not be specified when hostNetwork is true")


def _rest(found: Found, at: str, spec: v1.PodSpec) -> None:
    if spec.tolerations:
        placement.tolerations(found, f"{at}.tolerations", spec.tolerations)
    for path, alias in indexed(f"{at}.hostAliases", spec.host_aliases):
        address(found, f"{path}.ip", alias.ip)
        for inner, name in indexed(f"{path}.hostnames", alias.hostnames):
            found.check(inner, name, names.dns_subdomain)
    _checked(found, f"{at}.priorityClassName", spec.priority_class_name, names.dns_subdomain)
    _checked(found, f"{at}.runtimeClassName", spec.runtime_class_name, names.dns_subdomain)
    if spec.preemption_policy and spec.preemption_policy not in _PREEMPTION:
        found.unsupported(f"{at}.preemptionPolicy", spec.preemption_policy, _PREEMPTION)
    if spec.overhead:
        computeresources.amounts(found, f"{at}.overhead", spec.overhead)
    if spec.os is not None:
        if not spec.os.name:
            found.required(f"{at}.os.name", "cannot be empty")
        else:
            found.one_of(f"{at}.os", spec.os.name, ("linux", "windows"))


def _checked(found: Found, at: str, value: str | None, check: names.Check) -> None:
    if value:
        found.check(at, value, check)


def _dns(found: Found, path: str, spec: v1.PodSpec) -> None:
    config = spec.dns_config
    if spec.dns_policy == "None":
        if config is None:
            found.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.nameservers:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            found.required(f"{path}.nameservers", why)
            return
    if config is None:
        return
    if len(config.nameservers) > _MAX_NAMESERVERS:
        why = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        found.invalid(f"{path}.nameservers", config.nameservers, why)
    for inner, server in indexed(f"{path}.nameservers", config.nameservers):
        address(found, inner, server)
    _searches(found, f"{path}.searches", config.searches)
    for inner, option in indexed(f"{path}.options", config.options):
        if not option.name:
            found.required(inner, "must not be empty")


def _searches(found: Found, at: str, searches: tuple[str, ...]) -> None:
    if len(searches) > _MAX_SEARCHES:
        found.invalid(at, searches, f"must not have more than {_MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > _MAX_SEARCH_LENGTH:
        why = f"must not have more than {_MAX_SEARCH_LENGTH} characters (including spaces) in the search list"
        found.invalid(at, searches, why)
    for inner, search in indexed(at, searches):
        plain = search.removesuffix(".")
        if search != ".":
            found.check(inner, plain, names.dns_subdomain_with_underscore)


def _resource_claims(found: Found, at: str, spec: v1.PodSpec) -> frozenset[str]:
    seen: set[str] = set()
    for path, claim in indexed(at, spec.resource_claims):
        found.check(f"{path}.name", claim.name, names.dns_label)
        if claim.name in seen:
            found.duplicate(f"{path}.name", claim.name)
        seen.add(claim.name)
        given = [each for each in (claim.resource_claim_name, claim.resource_claim_template_name) if each is not None]
        if len(given) > 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            found.invalid(path, claim, why)
        elif not given:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            found.invalid(path, claim, why)
    return frozenset(seen)
