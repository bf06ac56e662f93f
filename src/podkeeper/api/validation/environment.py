"""Environment variables of containers and where their values come from.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.quantity import Quantity
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import descending

if TYPE_CHECKING:
    from podkeeper.api.core import v1

ENV_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
VOLUME_FIELDS = frozenset(
    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
)
_OTHER_FIELDS = frozenset(
    {
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.hostNetwork",
        "status.phase",
        "status.nominatedNodeName",
    }
)
_RESOURCES = frozenset(
    f"{which}.{name}" for which in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_SOURCES = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
_ONE = "may not have more than one field specified at a time"
_CPU_STEPS = ("1m", "1")
_BYTE_STEPS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_cached_name = lru_cache(maxsize=1024)(names.env_var_name)


def variables(found: Found, at: str, listed: tuple[v1.EnvVar, ...]) -> None:
    """A container's ``env``."""
    for index, each in enumerate(listed):
        path = f"{at}[{index}]"
        if not each.name:
            found.required(f"{path}.name")
        else:
            found.check(f"{path}.name", each.name, _cached_name)
        if each.value_from is not None:
            _source(found, f"{path}.valueFrom", each.value_from, each.value)


def sources(found: Found, at: str, listed: tuple[v1.EnvFromSource, ...]) -> None:
    """A container's ``envFrom``."""
    for path, each in indexed(at, listed):
        if each.prefix:
            found.check(f"{path}.prefix", each.prefix, names.env_var_name)
        given = (("configMapRef", each.config_map_ref), ("secretRef", each.secret_ref))
        for name, reference in given:
            if reference is not None:
                _named(found, f"{path}.{name}.name", reference.name)
        count = sum(reference is not None for _, reference in given)
        if count != 1:
            found.invalid(at, "", _ONE if count else "must specify one of: `configMapRef` or `secretRef`")


def _source(found: Found, at: str, source: v1.EnvVarSource, value: str) -> None:
    count = 0
    if source.field_ref is not None:
        count += 1
        object_field(found, f"{at}.fieldRef", source.field_ref, ENV_FIELDS)
    if source.resource_field_ref is not None:
        count += 1
        resource_field(found, f"{at}.resourceFieldRef", source.resource_field_ref, in_volume=False)
    keys = (("configMapKeyRef", source.config_map_key_ref), ("secretKeyRef", source.secret_key_ref))
    for name, reference in keys:
        if reference is not None:
            count += 1
            found.check(f"{at}.{name}.name", reference.name, names.dns_subdomain)
            if not reference.key:
                found.required(f"{at}.{name}.key")
            else:
                found.check(f"{at}.{name}.key", reference.key, names.config_key)
    if source.file_key_ref is not None:
        count += 1
        _file_key(found, f"{at}.fileKeyRef", source.file_key_ref)
    if not count:
        found.invalid(at, "", f"must specify one of: {_SOURCES}")
    elif value:
        found.invalid(at, "", "may not be specified when `value` is not empty")
    elif count > 1:
        found.invalid(at, "", _ONE)


def object_field(found: Found, at: str, reference: v1.ObjectFieldSelector, supported: frozenset[str]) -> None:
    """A field of the pod; single labels and annotations by ``metadata.labels['key']``."""
    if not reference.api_version:
        found.required(f"{at}.apiVersion")
        return
    path, field = reference.field_path, f"{at}.fieldPath"
    if not path:
        found.required(field)
    elif path.endswith("']"):
        _subscripted(found, field, path)
    elif path in supported:
        return
    elif path in _OTHER_FIELDS or path in ENV_FIELDS:
        found.unsupported(field, path, supported)
    else:
        found.invalid(field, path, f"error converting fieldPath: field label not supported: {path}")


def resource_field(found: Found, at: str, reference: v1.ResourceFieldSelector, *, in_volume: bool) -> None:
    """A request or limit of a container; a volume must say of which."""
    if in_volume and not reference.container_name:
        found.required(f"{at}.containerName")
    elif not reference.resource:
        found.required(f"{at}.resource")
    elif reference.resource not in _RESOURCES and ".hugepages-" not in reference.resource:
        found.unsupported(f"{at}.resource", reference.resource, _RESOURCES)
    if reference.divisor:
        _divisor(found, f"{at}.divisor", reference.resource, reference.divisor)


def _divisor(found: Found, at: str, resource: str, divisor: Quantity) -> None:
    """CPU comes in cores or thousandths, everything else in units with a suffix."""
    if resource.endswith(".cpu"):
        if str(divisor) not in _CPU_STEPS:
            found.invalid(at, resource, "only divisor's values 1m and 1 are supported with the cpu resource")
    elif str(divisor) not in _BYTE_STEPS:
        noun = resource.partition(".")[2].removesuffix("-storage").replace("ephemeral", "local ephemeral storage")
        noun = "hugepages" if noun.startswith("hugepages-") else noun
        found.invalid(
            at, resource, f"only divisor's values {', '.join(_BYTE_STEPS)} are supported with the {noun} resource"
        )


def _subscripted(found: Found, field: str, path: str) -> None:
    base, _, key = path[:-2].partition("['")
    if base == "metadata.annotations":
        found.check(field, key.lower(), names.qualified_name)
    elif base == "metadata.labels":
        found.check(field, key, names.qualified_name)
    else:
        found.invalid(field, base, "does not support subscript")


def _named(found: Found, at: str, name: str) -> None:
    if not name:
        found.required(at)
    else:
        found.check(at, name, names.dns_subdomain)


def _file_key(found: Found, at: str, reference: v1.FileKeySelector) -> None:
    for name, value in (("volumeName", reference.volume_name), ("path", reference.path), ("key", reference.key)):
        if not value:
            found.required(f"{at}.{name}")
    descending(found, f"{at}.path", reference.path)
