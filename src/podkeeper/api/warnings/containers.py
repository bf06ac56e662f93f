"""The containers of a pod: annotations in place of fields, amounts, environments, and ports that are there twice.

Source: upstream's pkg/api/pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podkeeper.api.warnings.volumes import fractional

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
NO_APPARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_NO_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'

Visited = Sequence[tuple[str, Any]]


def of_containers(at: str, spec: v1.PodSpec, annotations: Mapping[str, str]) -> Iterator[str]:
    """All containers of a spec; ``at`` is empty for a pod, else its template's path with a dot."""
    visited: Visited = [
        (f"{at}spec.{list_name}[{index}]", container)
        for list_name, listed in (
            ("initContainers", spec.init_containers),
            ("containers", spec.containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        )
        for index, container in enumerate(listed)
    ]
    for where, container in visited:
        if annotations:
            yield from _annotations(at, spec, container, annotations)
        if container.resources is not None:
            for name, amounts in (
                ("limits", container.resources.limits),
                ("requests", container.resources.requests),
            ):
                yield from _amounts(f"{where}.resources.{name}", amounts)
        if len(container.env) > 1:
            yield from _environment(f"{where}.env", container.env)
    ports = [port for _, container in visited for port in container.ports]
    if len(ports) > 1 or (ports and ports[0].host_ip):
        yield from _ports(visited)
        yield from _port_names(visited)


def _annotations(at: str, spec: v1.PodSpec, container: Any, annotations: Mapping[str, str]) -> Iterator[str]:
    context, whole = container.security_context, spec.security_context
    key = f"{_SECCOMP}{container.name}"
    if key in annotations and (context is None or context.seccomp_profile is None):
        yield f"{at}metadata.annotations[{key}]: {_NO_SECCOMP}"
    key = f"{APPARMOR}{container.name}"
    # A pod of its own has been told when the annotation was made a field.
    if not at or key not in annotations or (whole is not None and whole.app_armor_profile is not None):
        return
    if context is None or context.app_armor_profile is None:
        yield f"{at}metadata.annotations[{key}]: {NO_APPARMOR}"


def _amounts(at: str, amounts: Mapping[str, Any]) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage"):
        if name in amounts:
            yield from fractional(f"{at}[{name}]", amounts[name])


def _environment(at: str, variables: Sequence[v1.EnvVar]) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name = variable.name
        if name in seen:
            reference = f"$({name})"
            builds_on = variable.value_from is None and reference in variable.value and variable.value != reference
            if not builds_on:
                yield (f'{at}[{index}]: hides previous definition of "{name}", which may be dropped when using apply')
        seen.add(name)


def _ports(visited: Visited) -> Iterator[str]:
    known: dict[tuple[int, str], list[tuple[str, v1.ContainerPort]]] = {}
    for where, container in visited:
        for index, port in enumerate(container.ports):
            path, host_port = f"{where}.ports[{index}]", port.host_port or 0
            if port.host_ip and not host_port:
                yield f"{path}: hostIP set without hostPort: {_shown(port)}"
            others = known.setdefault((port.container_port, port.protocol), [])
            for other_path, other in others:
                other_port = other.host_port or 0
                if port.host_ip == other.host_ip and host_port == other_port:
                    yield f"{path}: duplicate port definition with {other_path}"
                elif not host_port or not other_port:
                    yield f"{path}: overlapping port definition with {other_path}"
                elif host_port == other_port and bool(port.host_ip) != bool(other.host_ip):
                    yield f"{path}: dangerously ambiguous port definition with {other_path}"
            others.append((path, port))


def _port_names(visited: Visited) -> Iterator[str]:
    known: dict[str, str] = {}
    for where, container in visited:
        for index, port in enumerate(container.ports):
            path = f"{where}.ports[{index}]"
            if not port.name:
                continue
            if (first := known.setdefault(port.name, path)) != path:
                yield (
                    f'{path}: duplicate port name "{port.name}" with {first}, services and probes that select ports by '
                    f"name will use {first}"
                )


def _shown(port: v1.ContainerPort) -> str:
    """As Go prints the struct."""
    host_port = port.host_port or 0
    ports = f"HostPort:{host_port} ContainerPort:{port.container_port} Protocol:{port.protocol}"
    return f"{{Name:{port.name} {ports} HostIP:{port.host_ip}}}"
