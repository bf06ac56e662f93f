"""Containers of a pod: app, init and ephemeral ones.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from podkeeper.api import names
from podkeeper.api.validation import environment, probes
from podkeeper.api.validation.computeresources import requirements
from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.paths import PROTOCOLS, descending, port_number
from podkeeper.api.validation.security import container_context

if TYPE_CHECKING:
    from podkeeper.api.core import v1

    AnyContainer = v1.Container | v1.EphemeralContainer

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RESTARTS = ("Always", "Never", "OnFailure")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")
_NO_SIDECAR = "may not be set for init containers without restartPolicy=Always"
_EPHEMERAL = "cannot be set for an Ephemeral Container"


class Surroundings(Struct, frozen=True):
    """What a container's rules need to know of its pod. ``whole`` is false for a template."""

    volumes: Mapping[str, v1.Volume]
    claims: frozenset[str]
    host_network: bool
    host_users: bool | None
    grace: int
    whole: bool


def app_containers(found: Found, at: str, listed: tuple[v1.Container, ...], pod: Surroundings) -> None:
    """``spec.containers``: one at least."""
    if not listed:
        found.required(at)
        return
    seen: set[str] = set()
    for index, container in enumerate(listed):
        path = f"{at}[{index}]"
        _any_container(found, path, container, pod)
        _unique(found, path, container.name, seen)
        if container.lifecycle is not None:
            probes.lifecycle(found, f"{path}.lifecycle", container.lifecycle, pod.grace)
        probes.probes(found, path, container)
        _restarts(found, path, container)
        if pod.host_network:
            _on_host_network(found, f"{path}.ports", container.ports, pod.whole)
    _host_ports(found, at, listed)


def init_containers(
    found: Found, at: str, listed: tuple[v1.Container, ...], apps: tuple[v1.Container, ...], pod: Surroundings
) -> None:
    """``spec.initContainers``: names that no app container has; hooks and probes only of sidecars."""
    seen = {container.name for container in apps}
    for index, container in enumerate(listed):
        path = f"{at}[{index}]"
        _any_container(found, path, container, pod)
        _unique(found, path, container.name, seen)
        if container.restart_policy == "Always":
            if container.lifecycle is not None:
                probes.lifecycle(found, f"{path}.lifecycle", container.lifecycle, pod.grace)
            probes.probes(found, path, container)
        else:
            for name, value in (
                ("lifecycle", container.lifecycle),
                ("livenessProbe", container.liveness_probe),
                ("readinessProbe", container.readiness_probe),
                ("startupProbe", container.startup_probe),
            ):
                if value is not None:
                    found.forbidden(f"{path}.{name}", _NO_SIDECAR)
        _restarts(found, path, container)
        _host_ports(found, at, (container,))


def ephemeral_containers(found: Found, at: str, spec: v1.PodSpec, pod: Surroundings) -> None:
    """``spec.ephemeralContainers``: they have no ports, resources, probes or hooks."""
    targets = {container.name for container in (*spec.containers, *spec.init_containers)}
    seen = set(targets)
    for index, container in enumerate(spec.ephemeral_containers):
        path = f"{at}[{index}]"
        _any_container(found, path, container, pod)
        _unique(found, path, container.name, seen)
        if container.target_container_name and container.target_container_name not in targets:
            found.not_found(f"{path}.targetContainerName", container.target_container_name)
        resources = container.resources
        for name, value in (
            ("ports", container.ports),
            ("livenessProbe", container.liveness_probe),
            ("readinessProbe", container.readiness_probe),
            ("startupProbe", container.startup_probe),
            ("lifecycle", container.lifecycle),
            ("resources", resources.limits or resources.requests or resources.claims),
            ("resizePolicy", container.resize_policy),
            ("restartPolicy", container.restart_policy),
        ):
            if value:
                found.forbidden(f"{path}.{name}", _EPHEMERAL)
        for inner, mount in enumerate(container.volume_mounts):
            for name, text in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
                if text:
                    found.forbidden(f"{path}.volumeMounts[{inner}].{name}", _EPHEMERAL)


def _unique(found: Found, at: str, name: str, seen: set[str]) -> None:
    if name in seen:
        found.duplicate(f"{at}.name", name)
    elif name:
        seen.add(name)


def _any_container(found: Found, at: str, container: AnyContainer, pod: Surroundings) -> None:
    """The rules that all three kinds of containers share."""
    if not container.name:
        found.required(f"{at}.name")
    else:
        found.check(f"{at}.name", container.name, names.dns_label)
    image = container.image
    if not image:
        found.required(f"{at}.image")
    elif pod.whole and image != image.strip():
        found.invalid(f"{at}.image", image, "must not have leading or trailing whitespace")
    found.one_of(f"{at}.terminationMessagePolicy", container.termination_message_policy, _MESSAGE_POLICIES)
    if container.ports:
        _ports(found, f"{at}.ports", container.ports)
    if container.env:
        environment.variables(found, f"{at}.env", container.env)
    if container.env_from:
        environment.sources(found, f"{at}.envFrom", container.env_from)
    if container.volume_mounts:
        _mounts(found, f"{at}.volumeMounts", container, pod)
    if container.volume_devices:
        _devices(found, f"{at}.volumeDevices", container, pod)
    found.one_of(f"{at}.imagePullPolicy", container.image_pull_policy, _PULL_POLICIES)
    if container.resources.limits or container.resources.requests:
        requirements(found, f"{at}.resources", container.resources)
    if container.resources.claims:
        _claims(found, f"{at}.resources.claims", container.resources.claims, pod.claims)
    if container.security_context is not None:
        container_context(found, f"{at}.securityContext", container.security_context, pod.host_users)
    _resizing(found, f"{at}.resizePolicy", container)


def _ports(found: Found, at: str, ports: tuple[v1.ContainerPort, ...]) -> None:
    seen = set()
    for index, port in enumerate(ports):
        path = f"{at}[{index}]"
        if port.name:
            messages = names.port_name(port.name)
            for message in messages:
                found.invalid(f"{path}.name", port.name, message)
            if port.name in seen:
                found.duplicate(f"{path}.name", port.name)
            seen.add(port.name)
        if not port.container_port:
            found.required(f"{path}.containerPort")
        else:
            port_number(found, f"{path}.containerPort", port.container_port)
        if port.host_port:
            port_number(found, f"{path}.hostPort", port.host_port)
        found.one_of(f"{path}.protocol", port.protocol, PROTOCOLS)


def _on_host_network(found: Found, at: str, ports: tuple[v1.ContainerPort, ...], whole: bool) -> None:
    """A port there is the node's own; a template may leave that to the defaults of its pods."""
    for index, port in enumerate(ports):
        taken = port.host_port or 0
        if (whole or taken) and taken != port.container_port:
            found.invalid(f"{at}[{index}].hostPort", taken, "must match `containerPort` when `hostNetwork` is true")


def _host_ports(found: Found, at: str, listed: Iterable[v1.Container]) -> None:
    taken = set()
    for index, container in enumerate(listed):
        for inner, port in enumerate(container.ports):
            if not port.host_port:
                continue
            text = f"{port.protocol}/{port.host_ip}/{port.host_port}"
            if text in taken:
                found.duplicate(f"{at}[{index}].ports[{inner}].hostPort", text)
            taken.add(text)


def _mounts(found: Found, at: str, container: AnyContainer, pod: Surroundings) -> None:
    points: set[str] = set()
    devices = {device.device_path for device in container.volume_devices}
    for index, mount in enumerate(container.volume_mounts):
        path = f"{at}[{index}]"
        if not mount.name:
            found.required(f"{path}.name")
        elif mount.name not in pod.volumes:
            found.not_found(f"{path}.name", mount.name)
        if not mount.mount_path:
            found.required(f"{path}.mountPath")
        if mount.mount_path in points:
            found.invalid(f"{path}.mountPath", mount.mount_path, "must be unique")
        if mount.mount_path in devices:
            why = "must not already exist as a path in volumeDevices"
            found.invalid(f"{path}.mountPath", mount.mount_path, why)
        points.add(mount.mount_path)
        _mount_options(found, path, mount, container)


def _mount_options(found: Found, at: str, mount: v1.VolumeMount, container: AnyContainer) -> None:
    if mount.sub_path:
        descending(found, f"{at}.subPath", mount.sub_path)
    if mount.sub_path_expr:
        if mount.sub_path:
            why = "subPathExpr and subPath are mutually exclusive"
            found.invalid(f"{at}.subPathExpr", mount.sub_path_expr, why)
        descending(found, f"{at}.subPathExpr", mount.sub_path_expr)
    propagation = mount.mount_propagation
    if propagation:
        context = container.security_context
        if propagation not in _PROPAGATIONS:
            found.unsupported(f"{at}.mountPropagation", propagation, _PROPAGATIONS)
        elif propagation == "Bidirectional" and not (context is not None and context.privileged):
            why = "Bidirectional mount propagation is available only to privileged containers"
            found.forbidden(f"{at}.mountPropagation", why)
    recursive = mount.recursive_read_only
    if recursive:
        if recursive not in _RECURSIVE:
            found.unsupported(f"{at}.recursiveReadOnly", recursive, _RECURSIVE)
        elif recursive != "Disabled" and not mount.read_only:
            found.forbidden(f"{at}.recursiveReadOnly", "may only be specified when readOnly is true")
        elif recursive != "Disabled" and propagation not in ("", "None"):
            found.forbidden(
                f"{at}.recursiveReadOnly", "may only be specified when mountPropagation is None or not specified"
            )


def _devices(found: Found, at: str, container: AnyContainer, pod: Surroundings) -> None:
    names_seen: set[str] = set()
    paths_seen: set[str] = set()
    for index, device in enumerate(container.volume_devices):
        path = f"{at}[{index}]"
        if not device.name:
            found.required(f"{path}.name")
        elif device.name in names_seen:
            found.invalid(f"{path}.name", device.name, "must be unique")
        volume = pod.volumes.get(device.name)
        if device.name and volume is None:
            found.not_found(f"{path}.name", device.name)
        elif volume is not None and volume.persistent_volume_claim is None and volume.ephemeral is None:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.invalid(f"{path}.name", device.name, why)
        if not device.device_path:
            found.required(f"{path}.devicePath")
        elif device.device_path in paths_seen:
            found.invalid(f"{path}.devicePath", device.device_path, "must be unique")
        elif ".." in device.device_path.split("/"):
            found.invalid(f"{path}.devicePath", device.device_path, "can not contain backsteps ('..')")
        names_seen.add(device.name)
        paths_seen.add(device.device_path)


def _claims(found: Found, at: str, claims: tuple[v1.ResourceClaim, ...], known: frozenset[str]) -> None:
    seen = set()
    for index, claim in enumerate(claims):
        path = f"{at}[{index}]"
        if not claim.name:
            found.required(f"{path}.name")
        elif claim.name not in known:
            found.not_found(f"{path}.name", claim.name)
        pair = (claim.name, claim.request)
        if pair in seen:
            found.duplicate(path, f"{claim.name}/{claim.request}" if claim.request else claim.name)
        seen.add(pair)


def _restarts(found: Found, at: str, container: v1.Container) -> None:
    policy = container.restart_policy
    if policy and policy not in _RESTARTS:
        found.unsupported(f"{at}.restartPolicy", policy, _RESTARTS)
    if container.restart_policy_rules and not policy:
        found.required(f"{at}.restartPolicy", "must specify restartPolicy when restart rules are used")
    for index, rule in enumerate(container.restart_policy_rules):
        path = f"{at}.restartPolicyRules[{index}]"
        found.one_of(f"{path}.action", rule.action, ("Restart", "RestartAllContainers"))
        if rule.exit_codes is None:
            found.required(f"{path}.exitCodes", "must be specified")
        else:
            found.one_of(f"{path}.exitCodes.operator", rule.exit_codes.operator, ("In", "NotIn"))


def _resizing(found: Found, at: str, container: AnyContainer) -> None:
    seen = set()
    for index, policy in enumerate(container.resize_policy):
        path, name = f"{at}[{index}]", policy.resource_name
        if name in seen:
            found.duplicate(path, name)
        seen.add(name)
        found.one_of(f"{path}.resourceName", name, ("cpu", "memory"))
        found.one_of(f"{path}.restartPolicy", policy.restart_policy, ("NotRequired", "RestartContainer"))
