"""AuthorizationConfiguration (apiserver.config.k8s.io): which authorizers are asked, in which order.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#using-configuration-file-for-authorization
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

VERSIONS = tuple(f"apiserver.config.k8s.io/{each}" for each in ("v1", "v1beta1", "v1alpha1"))
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
#: Seconds that a webhook may take at most.
LONGEST = 30.0


class ConfigurationError(ValueError):
    """The file cannot be used; says where and why."""


class Webhook(Struct, frozen=True):
    """A server that judges. Seconds; a lifetime of 0 remembers nothing."""

    kubeconfig: Path
    timeout: float
    deny_on_failure: bool
    version: str = "v1"
    allowed_lifetime: float = 300.0
    refused_lifetime: float = 30.0
    conditions: tuple[str, ...] = ()


class Layer(Struct, frozen=True):
    """One authorizer: ``kind`` is Node, RBAC or Webhook."""

    kind: str
    name: str
    webhook: Webhook | None = None


#: What is asked where nothing else is said.
DEFAULT = (Layer("Node", "node"), Layer("RBAC", "rbac"))


def load(path: Path) -> tuple[Layer, ...]:
    """Reads the file. Raises ConfigurationError."""
    try:
        return read(path.read_bytes(), path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def read(content: bytes, path: Path) -> tuple[Layer, ...]:
    """What the file ``path`` says. Raises ConfigurationError."""
    import yaml

    try:
        return parse(yaml.safe_load(content))
    except yaml.YAMLError:
        raise ConfigurationError(f"{path}: it is neither YAML nor JSON") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse(tree: Any) -> tuple[Layer, ...]:
    """The authorizers out of the file's tree. Raises ConfigurationError."""
    if not isinstance(tree, Mapping) or tree.get("kind") != "AuthorizationConfiguration":
        raise ConfigurationError("kind: must be AuthorizationConfiguration")
    if tree.get("apiVersion") not in VERSIONS:
        raise ConfigurationError(f"apiVersion: must be {VERSIONS[0]}")
    entries = tree.get("authorizers") or []
    if not entries:
        raise ConfigurationError("authorizers: Required value: at least one authorization mode must be defined")
    layers = tuple(_layer(f"authorizers[{index}]", entry) for index, entry in enumerate(entries))
    _check_distinct(layers)
    return layers


def _check_distinct(layers: Sequence[Layer]) -> None:
    for index, layer in enumerate(layers):
        before = layers[:index]
        if layer.name in [each.name for each in before]:
            raise ConfigurationError(f'authorizers[{index}].name: Duplicate value: "{layer.name}"')
        if layer.kind != "Webhook" and layer.kind in [each.kind for each in before]:
            raise ConfigurationError(f'authorizers[{index}].type: Duplicate value: "{layer.kind}"')


def _layer(where: str, tree: Any) -> Layer:
    kind, name = (tree.get("type"), tree.get("name")) if isinstance(tree, Mapping) else (None, None)
    if kind not in ("Node", "RBAC", "Webhook"):
        raise ConfigurationError(
            f'{where}.type: Unsupported value: "{kind}": supported values: "Node", "RBAC", "Webhook"'
        )
    if not name or not isinstance(name, str):
        raise ConfigurationError(f"{where}.name: Required value")
    if kind != "Webhook":
        if tree.get("webhook") is not None:
            raise ConfigurationError(f"{where}.webhook: may only be specified when type=Webhook")
        return Layer(kind, name)
    return Layer(kind, name, _webhook(f"{where}.webhook", tree.get("webhook")))


def _webhook(where: str, tree: Any) -> Webhook:
    if not isinstance(tree, Mapping):
        raise ConfigurationError(f"{where}: Required value: required when type=Webhook")
    timeout = _seconds(f"{where}.timeout", tree.get("timeout"), None)
    if not 0 < timeout <= LONGEST:
        raise ConfigurationError(f"{where}.timeout: Invalid value: must be > 0s and <= 30s")
    version = _one_of(f"{where}.subjectAccessReviewVersion", tree.get("subjectAccessReviewVersion"), ("v1", "v1beta1"))
    policy = _one_of(f"{where}.failurePolicy", tree.get("failurePolicy"), ("NoOpinion", "Deny"))
    conditions = tuple(str(each.get("expression", "")) for each in tree.get("matchConditions") or ())
    if conditions:
        field = "matchConditionSubjectAccessReviewVersion"
        _one_of(f"{where}.{field}", tree.get(field), ("v1",))
    connection = tree.get("connectionInfo") or {}
    at = f"{where}.connectionInfo"
    _one_of(f"{at}.type", connection.get("type"), ("KubeConfigFile",))
    if not connection.get("kubeConfigFile"):
        raise ConfigurationError(f"{at}.kubeConfigFile: Required value")
    return Webhook(
        Path(connection["kubeConfigFile"]),
        timeout,
        policy == "Deny",
        version,
        _lifetime(tree, f"{where}.authorizedTTL", "authorizedTTL", "cacheAuthorizedRequests", 300.0),
        _lifetime(tree, f"{where}.unauthorizedTTL", "unauthorizedTTL", "cacheUnauthorizedRequests", 30.0),
        conditions,
    )


def _lifetime(tree: Mapping[str, Any], where: str, field: str, switch: str, default: float) -> float:
    return 0.0 if tree.get(switch) is False else _seconds(where, tree.get(field), default)


def _seconds(where: str, value: Any, default: float | None) -> float:
    if value is None:
        if default is None:
            raise ConfigurationError(f"{where}: Required value")
        return default
    parts = _DURATION.findall(str(value))
    if "".join(number + unit for number, unit in parts) != str(value) or not parts:
        raise ConfigurationError(f"{where}: Invalid value: {value!r}: no duration such as 3s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _one_of(where: str, value: Any, supported: Sequence[str]) -> str:
    if not value:
        raise ConfigurationError(f"{where}: Required value")
    if value not in supported:
        listed = ", ".join(f'"{each}"' for each in supported)
        raise ConfigurationError(f'{where}: Unsupported value: "{value}": supported values: {listed}')
    return str(value)
