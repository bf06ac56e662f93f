"""A container's environment: envFrom, env with its sources and references, and the variables of services.

Order and precedence as https://kubernetes.io/docs/concepts/workloads/pods/ and the container's API reference say: later
entries win, ``env`` beats ``envFrom``, services' variables only fill what is left.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.kubelet.downward import NodeFacts, UnsupportedField, field_value, resource_value
from podkeeper.kubelet.expansion import expand
from podkeeper.kubelet.objects import PodObjects


class ConfigError(Exception):
    """A container cannot be configured (CreateContainerConfigError); the text is upstream's."""


class Environment(Struct, frozen=True):
    """The variables in order, and a warning for each envFrom source with unusable keys."""

    variables: Mapping[str, str]
    warnings: tuple[str, ...] = ()


class EnvironmentSource(Struct, frozen=True):
    """What values may come from besides the pod itself."""

    objects: PodObjects
    node: NodeFacts
    pod_ips: tuple[str, ...]
    services: Mapping[str, str]


_NAME = re.compile(r"[ -<>-~]+\Z")


async def build_environment(pod: v1.Pod, container: v1.Container, source: EnvironmentSource) -> Environment:
    """All variables of ``container``. Raises ConfigError for a source that is missing and not optional."""
    result: dict[str, str] = {}
    warnings: list[str] = []
    for each in container.env_from:
        entries, label = await _bulk(pod, each, source)
        invalid = sorted(key for key in entries if not _NAME.match(each.prefix + key))
        result |= {each.prefix + key: value for key, value in entries.items() if key not in invalid}
        if invalid:
            warnings.append(
                f"Keys [{', '.join(invalid)}] from the EnvFrom {label} were skipped since they are "
                "considered invalid environment variable names."
            )
    for variable in container.env:
        value = await _value(pod, container, variable, result, source)
        if value is not None:
            result[variable.name] = value
    for name, value in source.services.items():
        result.setdefault(name, value)
    return Environment(result, tuple(warnings))


async def _bulk(pod: v1.Pod, each: v1.EnvFromSource, source: EnvironmentSource) -> tuple[Mapping[str, str], str]:
    namespace = pod.metadata.namespace
    if each.config_map_ref is not None:
        reference = each.config_map_ref
        found = await config_map_data(source.objects, namespace, reference.name, bool(reference.optional))
        texts = {key: value.decode("utf-8", "replace") for key, value in (found or {}).items()}
        return texts, f"configMap {namespace}/{reference.name}"
    if each.secret_ref is not None:
        secret = each.secret_ref
        found = await secret_data(source.objects, namespace, secret.name, bool(secret.optional))
        texts = {key: value.decode("utf-8", "surrogateescape") for key, value in (found or {}).items()}
        return texts, f"secret {namespace}/{secret.name}"
    return {}, ""


async def config_map_data(objects: PodObjects, namespace: str, name: str, optional: bool) -> dict[str, bytes] | None:
    """``data`` and ``binaryData`` as bytes; None when it is absent and optional. Raises ConfigError."""
    try:
        found = await objects.config_maps.read(namespace, name)
    except ApiError as error:
        if error.code == 404 and optional:
            return None
        raise ConfigError(_absence("configmap", name, error)) from error
    texts = {key: value.encode() for key, value in found.data.items()}
    return texts | {key: base64.b64decode(value) for key, value in found.binary_data.items()}


async def secret_data(objects: PodObjects, namespace: str, name: str, optional: bool) -> dict[str, bytes] | None:
    """A Secret's data, decoded; None when it is absent and optional. Raises ConfigError."""
    try:
        found = await objects.secrets.read(namespace, name)
    except ApiError as error:
        if error.code == 404 and optional:
            return None
        raise ConfigError(_absence("secret", name, error)) from error
    return {key: base64.b64decode(value) for key, value in found.data.items()}


def _absence(kind: str, name: str, error: ApiError) -> str:
    return f'{kind} "{name}" not found' if error.code == 404 else error.message


async def _value(
    pod: v1.Pod, container: v1.Container, variable: v1.EnvVar, known: Mapping[str, str], source: EnvironmentSource
) -> str | None:
    """None for an optional source that is absent: the variable is left out."""
    origin = variable.value_from
    if variable.value or origin is None:
        return expand(variable.value, {**source.services, **known})
    try:
        if origin.field_ref is not None:
            return field_value(pod, origin.field_ref.field_path, source.node, source.pod_ips)
        if origin.resource_field_ref is not None:
            return resource_value(pod, origin.resource_field_ref, container.name, source.node)
    except UnsupportedField as error:
        raise ConfigError(str(error)) from error
    if origin.config_map_key_ref is not None:
        return await _config_map_key(pod, origin.config_map_key_ref, source)
    if origin.secret_key_ref is not None:
        return await _secret_key(pod, origin.secret_key_ref, source)
    if origin.file_key_ref is not None:
        raise ConfigError(f"environment variable {variable.name}: fileKeyRef is not supported by this kubelet")
    return ""


async def _config_map_key(pod: v1.Pod, ref: v1.ConfigMapKeySelector, source: EnvironmentSource) -> str | None:
    namespace, optional = pod.metadata.namespace, bool(ref.optional)
    data = await config_map_data(source.objects, namespace, ref.name, optional)
    if data is None or (ref.key not in data and optional):
        return None
    if ref.key not in data:
        raise ConfigError(f"couldn't find key {ref.key} in ConfigMap {namespace}/{ref.name}")
    return data[ref.key].decode("utf-8", "surrogateescape")


async def _secret_key(pod: v1.Pod, ref: v1.SecretKeySelector, source: EnvironmentSource) -> str | None:
    namespace, optional = pod.metadata.namespace, bool(ref.optional)
    data = await secret_data(source.objects, namespace, ref.name, optional)
    if data is None or (ref.key not in data and optional):
        return None
    if ref.key not in data:
        raise ConfigError(f"couldn't find key {ref.key} in Secret {namespace}/{ref.name}")
    return data[ref.key].decode("utf-8", "surrogateescape")


def service_variables(services: Iterable[v1.Service], namespace: str, links: bool) -> dict[str, str]:
    """``NAME_SERVICE_HOST`` and friends: for the API server's service always, for the namespace's with ``links``."""
    chosen: dict[str, v1.Service] = {}
    for service in services:
        meta = service.metadata
        if service.spec.cluster_ip in ("", "None"):
            continue
        if links and meta.namespace == namespace:
            chosen[meta.name] = service
        elif meta.namespace == "default" and meta.name == "kubernetes":
            chosen.setdefault(meta.name, service)
    variables: dict[str, str] = {}
    for name in sorted(chosen):
        variables |= _variables_of(chosen[name])
    return variables


def _variables_of(service: v1.Service) -> dict[str, str]:
    prefix = service.metadata.name.upper().replace("-", "_")
    address, ports = service.spec.cluster_ip, service.spec.ports
    if not ports:
        return {}
    first = ports[0]
    variables = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(first.port)}
    for port in ports:
        if port.name:
            variables[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
    variables[f"{prefix}_PORT"] = _url(first, address)
    for port in ports:
        protocol = port.protocol or "TCP"
        stem = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
        variables |= {
            stem: _url(port, address),
            f"{stem}_PROTO": protocol.lower(),
            f"{stem}_PORT": str(port.port),
            f"{stem}_ADDR": address,
        }
    return variables


def _url(port: v1.ServicePort, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{(port.protocol or 'TCP').lower()}://{host}:{port.port}"
