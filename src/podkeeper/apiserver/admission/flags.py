"""Upstream's flags about admission: which plugins are on, and what they are told.

Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ and Kubernetes, "Enforce Pod
Security Standards by Configuring the Built-in Admission Controller".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from podkeeper.apiserver.admission.podsecurity.labels import MODES, is_version
from podkeeper.apiserver.admission.podsecurity.levels import LEVELS
from podkeeper.apiserver.config import AdmissionConfig, PodSecurityConfig

Tree = Mapping[str, Any]

_ENABLE, _DISABLE = "enable-admission-plugins", "disable-admission-plugins"
_NOT_READY, _UNREACHABLE = "default-not-ready-toleration-seconds", "default-unreachable-toleration-seconds"
_FILE = "admission-control-config-file"
KNOWN = frozenset({_ENABLE, _DISABLE, _NOT_READY, _UNREACHABLE, _FILE})

#: Every plugin that can be switched, by upstream's name.
PLUGINS = frozenset(
    {
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "NodeRestriction",
        "TaintNodesByCondition",
        "PodSecurity",
        "PodNodeSelector",
        "Priority",
        "DefaultTolerationSeconds",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSigning",
        "ClusterTrustBundleAttest",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "PodTopologyLabels",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
    }
)


def read(args: Mapping[str, str], base: AdmissionConfig | None = None) -> AdmissionConfig:
    """What these flags make of a configuration; others are not looked at. Raises ValueError."""
    config = base or AdmissionConfig()
    enabled, disabled = _names(args, _ENABLE), _names(args, _DISABLE)
    config = replace(
        config,
        disabled=(config.disabled - enabled) | disabled,
        not_ready_toleration=_seconds(args, _NOT_READY, config.not_ready_toleration),
        unreachable_toleration=_seconds(args, _UNREACHABLE, config.unreachable_toleration),
    )
    return _with_file(config, Path(args[_FILE])) if _FILE in args else config


def _names(args: Mapping[str, str], flag: str) -> frozenset[str]:
    names = [name.strip() for name in args.get(flag, "").split(",") if name.strip()]
    for name in names:
        if name not in PLUGINS:
            raise ValueError(f'{flag} plugin "{name}" is unknown')
    return frozenset(names)


def _seconds(args: Mapping[str, str], flag: str, default: int) -> int:
    text = args.get(flag)
    if text is None:
        return default
    if not text.isdecimal():
        raise ValueError(f"{flag}: {text!r} is not a number from 0 on")
    return int(text)


def _with_file(config: AdmissionConfig, path: Path) -> AdmissionConfig:
    """What an AdmissionConfiguration says of the plugins that take a configuration; of others it may say nothing."""
    tree = _load(path)
    if tree.get("kind") != "AdmissionConfiguration":
        raise ValueError(f"{path}: expected an AdmissionConfiguration, got {tree.get('kind')!r}")
    for plugin in tree.get("plugins") or ():
        name = plugin.get("name")
        given = plugin.get("configuration") or (_load(path.parent / plugin["path"]) if plugin.get("path") else {})
        if name == "PodSecurity":
            config = replace(config, pod_security=pod_security(given))
        elif name == "PodNodeSelector":
            config = replace(config, node_selectors=dict(given.get("podNodeSelectorPluginConfig") or {}))
        elif given:
            raise ValueError(f"{path}: a configuration of plugin {name!r} is not supported")
    return config


def _load(path: Path) -> Tree:
    import yaml  # few servers have such a file

    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: not an object")
    return tree


def pod_security(tree: Tree) -> PodSecurityConfig:
    """The configuration of PodSecurity. Raises ValueError."""
    defaults, exempt = tree.get("defaults") or {}, tree.get("exemptions") or {}
    modes = {mode: (defaults.get(mode) or LEVELS[0], defaults.get(f"{mode}-version") or "latest") for mode in MODES}
    for mode, (level, version) in modes.items():
        if level not in LEVELS:
            raise ValueError(f"defaults.{mode}: Invalid value: {level!r}: must be one of {', '.join(LEVELS)}")
        if not is_version(version):
            raise ValueError(f'defaults.{mode}-version: Invalid value: {version!r}: must be "latest" or "v1.x"')
    return PodSecurityConfig(
        **modes,
        exempt_users=frozenset(exempt.get("usernames") or ()),
        exempt_namespaces=frozenset(exempt.get("namespaces") or ()),
        exempt_runtime_classes=frozenset(exempt.get("runtimeClasses") or ()),
    )
