"""EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources' values are hidden, how, with which keys.

Source: https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/. The kms provider is refused by name.
"""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.registry.encryption.ciphers import PLAIN, PROVIDERS, Cipher, Identity, Keyring

VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
_SIZES = {"aesgcm": (16, 24, 32), "aescbc": (16, 24, 32), "secretbox": (32,)}


class ConfigurationError(ValueError):
    """The file cannot be used; says where and why, and never shows a secret."""


class Rule(Struct, frozen=True):
    """``resources`` as written: ``secrets``, ``deployments.apps``, ``*.apps``, ``*.`` (core), ``*.*``."""

    resources: tuple[str, ...]
    keyring: Keyring

    def covers(self, group: str, resource: str) -> bool:
        """Whether the rule is about this resource."""
        own = f"{resource}.{group}" if group else resource
        return any(each in ("*.*", f"*.{group}", own) for each in self.resources)


class Configuration:
    """The rules in their order; the first that covers a resource counts."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)

    def keyring(self, group: str, resource: str) -> Keyring:
        """The ciphers of a resource; those of plain values where no rule covers it."""
        return next((rule.keyring for rule in self.rules if rule.covers(group, resource)), PLAIN)

    def cipher_of(self, keyring: Keyring, value: bytes) -> Cipher | None:
        """The cipher that a value of a resource is in: of its own keyring, else of any, for rules may have changed."""
        every = (keyring, *(rule.keyring for rule in self.rules))
        return next((found for each in every if (found := each.cipher_of(value)) is not None), None)

    @property
    def names(self) -> frozenset[str]:
        """Every cipher by name."""
        return frozenset(cipher.name for rule in self.rules for cipher in rule.keyring.ciphers)


def load(path: Path) -> Configuration:
    """Reads the file, which nobody but its owner may read. Raises ConfigurationError."""
    import yaml

    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            f"{path}: others may read it (mode {stat.S_IMODE(mode):04o}); it holds keys: chmod 600"
        )
    try:
        tree = yaml.safe_load(data)
    except yaml.YAMLError:
        raise ConfigurationError(f"{path}: it is neither YAML nor JSON") from None
    try:
        return parse(tree)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse(tree: Any) -> Configuration:
    """The configuration out of its tree. Raises ConfigurationError."""
    if not isinstance(tree, Mapping) or tree.get("kind") != "EncryptionConfiguration":
        raise ConfigurationError("kind: must be EncryptionConfiguration")
    if tree.get("apiVersion") not in VERSIONS:
        raise ConfigurationError(f"apiVersion: must be {VERSIONS[0]}")
    rules = [_rule(f"resources[{index}]", rule) for index, rule in enumerate(_list(tree, "resources", ""))]
    return Configuration(rules)


def _rule(where: str, tree: Any) -> Rule:
    resources = tuple(str(each) for each in _list(tree, "resources", where))
    for index, name in enumerate(resources):
        _check_resource(f"{where}.resources[{index}]", name, resources)
    ciphers = [
        cipher
        for index, provider in enumerate(_list(tree, "providers", where))
        for cipher in _provider(f"{where}.providers[{index}]", provider)
    ]
    names = [cipher.name for cipher in ciphers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{where}.providers: {twice} is there twice")
    return Rule(resources, Keyring(ciphers))


def _check_resource(where: str, name: str, beside: Sequence[str]) -> None:
    if name == "*":
        raise ConfigurationError(
            f"{where}: Invalid value: \"*\": use '*.' to encrypt all the resources from core API group"
            " or *.* to encrypt all resources"
        )
    if name != name.lower():
        raise ConfigurationError(f'{where}: Invalid value: "{name}": resource name should not contain capital letters')
    if "*" in name.removeprefix("*.") and name != "*.*":
        raise ConfigurationError(f'{where}: Invalid value: "{name}": wildcards stand for a whole group: *.group')
    if "*.*" in beside and len(beside) > 1:
        raise ConfigurationError(f"{where}: Invalid value: {name}: *.* covers everything beside it")


def _provider(where: str, tree: Any) -> Iterator[Cipher]:
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise ConfigurationError(f"{where}: a provider is one of identity, {', '.join(PROVIDERS)}")
    ((kind, content),) = tree.items()
    if kind == "identity":
        yield Identity()
        return
    if kind == "kms":
        raise ConfigurationError(f"{where}.kms: key management services are not supported; use secretbox or aesgcm")
    if kind not in PROVIDERS:
        raise ConfigurationError(f"{where}: unknown provider {kind}")
    for index, key in enumerate(_list(content, "keys", f"{where}.{kind}")):
        name, secret = _key(f"{where}.{kind}.keys[{index}]", kind, key)
        yield PROVIDERS[kind](name, secret)


def _key(where: str, kind: str, tree: Any) -> tuple[str, bytes]:
    name, text = (tree.get("name"), tree.get("secret")) if isinstance(tree, Mapping) else (None, None)
    if not isinstance(name, str) or not name or ":" in name:
        raise ConfigurationError(f"{where}.name: Required value: a name without ':'")
    try:
        secret = base64.b64decode(str(text or ""), validate=True)
    except binascii.Error:
        raise ConfigurationError(f'{where}.secret: Invalid value: "REDACTED": secrets must be base64 encoded') from None
    if len(secret) not in _SIZES[kind]:
        expected = " ".join(map(str, _SIZES[kind]))
        why = f"secret is not of the expected length, got {len(secret)}, expected one of [{expected}]"
        raise ConfigurationError(f'{where}.secret: Invalid value: "REDACTED": {why}')
    return name, secret


def _list(tree: Any, field: str, where: str) -> Sequence[Any]:
    value = tree.get(field) if isinstance(tree, Mapping) else None
    if not isinstance(value, list) or not value:
        raise ConfigurationError(f"{where}.{field}: Required value".lstrip("."))
    return value
