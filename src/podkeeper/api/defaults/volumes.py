"""Volumes of pods, and the sources that persistent volumes share with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podkeeper.api.defaults.containers import field_reference, pull_policy
from podkeeper.api.defaults.trees import child, fill, fill_empty, members, round_amounts

Tree = dict[str, Any]

_FILE_MODE = 0o644


def volume(tree: Tree) -> None:
    """A Volume; one that names no source is an emptyDir."""
    for key, value in tree.items():
        if key != "name" and value is not None:
            source(key, value)
            return
    tree["emptyDir"] = {}


def source(key: str, tree: Tree) -> None:
    """A volume source under that name."""
    default = _SOURCES.get(key)
    if default is not None:
        default(tree)


def claim_spec(spec: Tree) -> None:
    """A PersistentVolumeClaimSpec."""
    fill(spec, "volumeMode", "Filesystem")
    resources = spec.get("resources") or {}
    round_amounts(resources.get("limits"))
    round_amounts(resources.get("requests"))


def _file_mode(tree: Tree) -> None:
    fill(tree, "defaultMode", _FILE_MODE)


def _downward(tree: Tree) -> None:
    _file_mode(tree)
    for item in members(tree, "items"):
        field_reference(item)


def _projected(tree: Tree) -> None:
    _file_mode(tree)
    for part in members(tree, "sources"):
        for item in members(part.get("downwardAPI"), "items"):
            field_reference(item)
        if part.get("serviceAccountToken") is not None:
            fill(part["serviceAccountToken"], "expirationSeconds", 3600)


def _host_path(tree: Tree) -> None:
    fill(tree, "type", "")


def _image(tree: Tree) -> None:
    fill_empty(tree, "pullPolicy", pull_policy(tree.get("reference") or ""))


def _ephemeral(tree: Tree) -> None:
    if tree.get("volumeClaimTemplate") is not None:
        claim_spec(child(tree["volumeClaimTemplate"], "spec"))


def _iscsi(tree: Tree) -> None:
    fill_empty(tree, "iscsiInterface", "default")


def _rbd(tree: Tree) -> None:
    fill_empty(tree, "pool", "rbd")
    fill_empty(tree, "user", "admin")
    fill_empty(tree, "keyring", "/etc/ceph/keyring")


def _azure_disk(tree: Tree) -> None:
    for key, value in (("cachingMode", "ReadWrite"), ("kind", "Shared"), ("fsType", "ext4"), ("readOnly", False)):
        fill(tree, key, value)


def _scale_io(tree: Tree) -> None:
    fill_empty(tree, "storageMode", "ThinProvisioned")
    fill_empty(tree, "fsType", "xfs")


_SOURCES: dict[str, Callable[[Tree], None]] = {
    "azureDisk": _azure_disk,
    "configMap": _file_mode,
    "downwardAPI": _downward,
    "ephemeral": _ephemeral,
    "hostPath": _host_path,
    "image": _image,
    "iscsi": _iscsi,
    "projected": _projected,
    "rbd": _rbd,
    "scaleIO": _scale_io,
    "secret": _file_mode,
}
