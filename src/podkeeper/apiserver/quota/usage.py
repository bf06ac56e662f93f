"""What an object uses of what a quota can limit. Pure.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podkeeper.api import codec, timestamps
from podkeeper.api.core import v1
from podkeeper.api.pods import qos, requests
from podkeeper.api.quantity import Quantity

Tree = Mapping[str, Any]
Amounts = dict[str, Quantity]

ONE = Quantity(1)
#: What a pod uses that runs no more.
PLACE: Mapping[str, Quantity] = {"count/pods": ONE}
_ENDED = ("Succeeded", "Failed")
#: Objects of the core group that a quota may also count under their plain name.
_PLAIN = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    }
)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_DEVICES = ".deviceclass.resource.k8s.io/devices"
#: Devices that an allocation has at most: those that a claim of all of them may get.
_ALL_DEVICES = 32


def count_name(group: str, resource: str) -> str:
    """``count/pods``, ``count/deployments.apps``."""
    return f"count/{resource}.{group}" if group else f"count/{resource}"


def limitable(name: str, group: str, resource: str) -> bool:
    """A quota on ``name`` concerns objects of that resource."""
    if name == count_name(group, resource):
        return True
    if (group, resource) == ("resource.k8s.io", "resourceclaims"):
        return name.endswith(_DEVICES)
    if group:
        return False
    if name == resource and resource in _PLAIN:
        return True
    if resource == "pods":
        return _is_compute(name)
    if resource == "services":
        return name in ("services.loadbalancers", "services.nodeports")
    if resource == "persistentvolumeclaims":
        return name == "requests.storage" or ".storageclass.storage.k8s.io/" in name
    return False


def _is_compute(name: str) -> bool:
    """``cpu``, ``requests.memory``, ``limits.example.com/gpu``: what containers ask for."""
    side, _, plain = name.partition(".")
    if side not in ("requests", "limits"):
        return name in _COMPUTE or name.startswith("hugepages-")
    return plain in _COMPUTE or plain.startswith("hugepages-") or ("/" in plain and ".storageclass." not in plain)


def of_object(group: str, resource: str, tree: Tree) -> Amounts:
    """Everything that an object uses, by the name under which a quota may limit it."""
    used: Amounts = {count_name(group, resource): ONE}
    if not group and resource in _PLAIN:
        used[resource] = ONE
    if (group, resource) == ("", "pods"):
        return _of_pod(tree, used)
    if (group, resource) == ("", "services"):
        return used | _of_service(tree.get("spec") or {})
    if (group, resource) == ("", "persistentvolumeclaims"):
        return used | _of_claim(tree)
    if (group, resource) == ("resource.k8s.io", "resourceclaims"):
        return used | _of_device_claim(tree)
    return used


def is_overdue(tree: Tree, now: float) -> bool:
    """Whether a pod should have been gone by now: what it used is free."""
    metadata = tree["metadata"]
    grace = metadata.get("deletionGracePeriodSeconds")
    if not metadata.get("deletionTimestamp") or grace is None:
        return False
    return now > timestamps.parse(metadata["deletionTimestamp"]) + float(grace)


def _of_pod(pod: Tree, used: Amounts) -> Amounts:
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return dict(PLACE)  # what has ended uses nothing but its place
    spec = codec.from_tree(v1.PodSpec, pod.get("spec") or {})
    for name, amount in requests.of_pod(spec).items():
        used[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
    for name, amount in requests.of_pod(spec, "limits").items():
        used[f"limits.{name}"] = amount
    return used


def _of_service(spec: Tree) -> Amounts:
    kind, ports = spec.get("type"), len(spec.get("ports") or ())
    if kind == "NodePort":
        return {"services.nodeports": Quantity(ports)}
    if kind == "LoadBalancer":
        allocated = 0 if spec.get("allocateLoadBalancerNodePorts") is False else ports
        return {"services.loadbalancers": ONE, "services.nodeports": Quantity(allocated)}
    return {}


def _of_claim(claim: Tree) -> Amounts:
    spec = claim.get("spec") or {}
    size = Quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
    # What a volume is grown to counts until it is known not to be needed.
    size = max(size, Quantity(((claim.get("status") or {}).get("allocatedResources") or {}).get("storage", 0)))
    used = {"requests.storage": size}
    if spec.get("storageClassName"):
        prefix = f"{spec['storageClassName']}.storageclass.storage.k8s.io/"
        used |= {f"{prefix}requests.storage": size, f"{prefix}persistentvolumeclaims": ONE}
    return used


def _of_device_claim(claim: Tree) -> Amounts:
    """The devices of each class that a claim gets at most: of alternatives the largest counts."""
    devices: dict[str, int] = {}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        # Before v1 a request of one kind of device had its fields itself.
        alternatives = request.get("firstAvailable") or [request.get("exactly") or request]
        most: dict[str, int] = {}
        for each in alternatives:
            name = f"{each.get('deviceClassName', '')}{_DEVICES}"
            most[name] = max(most.get(name, 0), _devices(each))
        for name, count in most.items():
            devices[name] = devices.get(name, 0) + count
    return {name: Quantity(count) for name, count in devices.items()}


def _devices(request: Tree) -> int:
    match request.get("allocationMode"):
        case "All":
            return _ALL_DEVICES
        case "ExactCount" | None:
            return int(request.get("count") or 1)
    return 0


def unstated(hard: Iterable[str], pod: Tree) -> dict[str, list[str]]:
    """Compute resources that a quota limits and that containers say nothing about, with the containers' names."""
    missing: dict[str, list[str]] = {}
    spec = pod.get("spec") or {}
    for name in sorted(hard):
        side, _, plain = name.partition(".")
        side, plain = (side, plain) if side in ("requests", "limits") else ("requests", name)
        if plain not in ("cpu", "memory"):
            continue
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            if plain not in ((container.get("resources") or {}).get(side) or {}):
                missing.setdefault(name, []).append(container.get("name", ""))
    return missing


def in_scope(quota: Tree, group: str, resource: str, tree: Tree) -> bool:
    """The quota's scopes cover the object; quotas with scopes cover pods alone, and claims by attributes class."""
    spec = quota.get("spec") or {}
    terms = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not terms:
        return True
    if (group, resource) == ("", "persistentvolumeclaims"):
        return all(_scope_of_claim_holds(term, tree) for term in terms)
    if (group, resource) != ("", "pods"):
        return False
    return all(_scope_holds(term, tree) for term in terms)


def _scope_holds(term: Tree, pod: Tree) -> bool:
    spec = pod.get("spec") or {}
    match term["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort" | "NotBestEffort":
            best_effort = qos.of_spec(codec.from_tree(v1.PodSpec, spec)) == "BestEffort"
            return best_effort is (term["scopeName"] == "BestEffort")
        case "PriorityClass":
            return _compares(term, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(spec)
    return False


def _scope_of_claim_holds(term: Tree, claim: Tree) -> bool:
    """One of the classes that a claim asks for, has, or is on its way to has to be right; a claim may have none."""
    if term["scopeName"] != "VolumeAttributesClass":
        return False
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    target = (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    named = {spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"), target}
    return any(_compares(term, each) for each in {each for each in named if each} or {""})


def _compares(term: Tree, value: str) -> bool:
    values = term.get("values") or ()
    match term.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "DoesNotExist":
            return not value
    return bool(value)


def _crosses_namespaces(spec: Tree) -> bool:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        every = [*(terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ())]
        every += [
            each.get("podAffinityTerm") or {}
            for each in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
        if any(each.get("namespaces") or each.get("namespaceSelector") is not None for each in every):
            return True
    return False


def total(amounts: Iterable[Mapping[str, Quantity]]) -> Amounts:
    """The sum, name by name."""
    sums: Amounts = {}
    for each in amounts:
        for name, amount in each.items():
            sums[name] = sums[name] + amount if name in sums else amount
    return sums


def text(amounts: Mapping[str, Quantity], names: Iterable[str]) -> str:
    """``cpu=1,pods=2``."""
    return ",".join(f"{name}={amounts.get(name, Quantity(0))}" for name in sorted(names))
