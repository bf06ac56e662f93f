"""Pod, and the pod template that controllers carry. The hot path: a usual pod costs about ten microseconds."""

from __future__ import annotations

from typing import Any

from podkeeper.api import codec
from podkeeper.api.defaults import containers, volumes
from podkeeper.api.defaults.trees import child, members, round_amounts

Tree = dict[str, Any]


def pod(tree: Tree) -> None:
    """A Pod: beside what a template gets, requests from limits, service links, and host ports on the host network."""
    spec = child(tree, "spec")
    every = members(spec, "containers") + members(spec, "initContainers")
    for container in every:
        _requests_from_limits(container.get("resources"))
    pod_spec(spec)
    if spec.get("resources"):
        _pod_level_resources(tree, spec["resources"])
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        _host_ports(every)


def pod_template(template: Tree) -> None:
    """A PodTemplateSpec."""
    pod_spec(child(template, "spec"))


def pod_template_object(tree: Tree) -> None:
    """PodTemplate, the kind."""
    pod_template(child(tree, "template"))


def pod_spec(spec: Tree) -> None:
    """A PodSpec, of a Pod or of a template."""
    get = spec.get
    if not get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if get("securityContext") is None:
        spec["securityContext"] = {}
    if get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for container in get(key) or ():
            containers.container(container)
    for volume in get("volumes") or ():
        volumes.volume(volume)
    round_amounts(get("overhead"))
    if get("serviceAccountName") or get("serviceAccount"):
        _service_account(spec)


def _service_account(spec: Tree) -> None:
    """The old field and the new one carry the same name; the new one wins."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    spec["serviceAccountName"] = spec["serviceAccount"] = name


def _requests_from_limits(resources: Tree | None) -> None:
    if not resources or not resources.get("limits"):
        return
    requests = child(resources, "requests")
    for name, amount in resources["limits"].items():
        requests.setdefault(name, amount)


def _pod_level_resources(tree: Tree, resources: Tree) -> None:
    """Pod-level huge page limits and requests from what the containers ask for. Source: KEP-2837."""
    from podkeeper.api.core import v1
    from podkeeper.api.pods import requests as meaning

    round_amounts(resources.get("limits"))
    round_amounts(resources.get("requests"))
    try:
        typed = codec.from_tree(v1.PodSpec, tree["spec"])
    except codec.CodecError:
        return  # decoding the object says what is wrong with it
    asked = resources.get("requests") or {}
    limits = dict(resources.get("limits") or {})
    for name, amount in meaning.of_containers(typed, "limits").items():
        if name.startswith("hugepages-") and name not in asked:
            limits.setdefault(name, str(amount))
    if limits:
        resources["limits"] = limits
        requests = dict(asked)
        for name, amount in meaning.of_containers(typed).items():
            if name in meaning.POD_LEVEL_COMPUTE:
                requests.setdefault(name, str(amount))
        for name, amount in limits.items():
            if name in meaning.POD_LEVEL_COMPUTE or name.startswith("hugepages-"):
                requests.setdefault(name, amount)
        resources["requests"] = requests


def _host_ports(every: list[Tree]) -> None:
    for container in every:
        for port in members(container, "ports"):
            if not port.get("hostPort"):
                port["hostPort"] = port.get("containerPort", 0)
