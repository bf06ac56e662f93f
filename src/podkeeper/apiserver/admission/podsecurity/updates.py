"""Which updates of a pod are judged: those that change images, seccomp annotations or the containers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Tree = Mapping[str, Any]

_ON_POD = "seccomp.security.alpha.kubernetes.io/pod"
_ON_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def is_significant(new: Tree, old: Tree) -> bool:
    """Whether a pod is to be judged again. What else can change is no matter of security."""
    notes, before = _annotations(new), _annotations(old)
    if notes.get(_ON_POD) != before.get(_ON_POD):
        return True
    for field in ("containers", "initContainers"):
        ours, theirs = _containers(new, field), _containers(old, field)
        if len(ours) != len(theirs) or any(map(_changed, ours, theirs)):
            return True
    known = {each.get("name"): each for each in _containers(old, "ephemeralContainers")}
    for container in _containers(new, "ephemeralContainers"):
        if container.get("name") not in known or _changed(container, known[container.get("name")]):
            return True
    keys = {key for key in {*notes, *before} if key.startswith(_ON_CONTAINER)}
    return any(notes.get(key) != before.get(key) for key in keys)


def _changed(container: Tree, before: Tree) -> bool:
    return bool(container.get("image") != before.get("image"))


def _annotations(pod: Tree) -> Mapping[str, str]:
    found: Mapping[str, str] = (pod.get("metadata") or {}).get("annotations") or {}
    return found


def _containers(pod: Tree, field: str) -> list[Tree]:
    return list((pod.get("spec") or {}).get(field) or ())
