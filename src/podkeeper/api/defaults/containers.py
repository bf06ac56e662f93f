"""Containers of every sort: pull policy, termination message, ports, environment, probes, hooks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from podkeeper.api.defaults.trees import round_amounts

Tree = dict[str, Any]

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")
# registry host and port, path of lower-case components, tag, digest
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/|\[[0-9a-fA-F:]+\](?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,})?\Z"
)


@lru_cache(maxsize=1024)
def pull_policy(image: str) -> str:
    """Always for the tag ``latest``, named or implied; IfNotPresent for any other tag or a digest."""
    match = _REFERENCE.match(image)
    latest = match and (match["tag"] == "latest" or not (match["tag"] or match["digest"]))
    return "Always" if latest else "IfNotPresent"


def container(tree: Tree) -> None:
    """A Container or EphemeralContainer."""
    get = tree.get
    if not get("imagePullPolicy"):
        tree["imagePullPolicy"] = pull_policy(get("image") or "")
    if not get("terminationMessagePath"):
        tree["terminationMessagePath"] = "/dev/termination-log"
    if not get("terminationMessagePolicy"):
        tree["terminationMessagePolicy"] = "File"
    for port in get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in get("env") or ():
        _variable(variable)
    if resources := get("resources"):
        round_amounts(resources.get("limits"))
        round_amounts(resources.get("requests"))
    for key in _PROBES:
        if get(key) is not None:
            probe(tree[key])
    if get("lifecycle"):
        for key in _HOOKS:
            _handler(tree["lifecycle"].get(key) or {})


def probe(tree: Tree) -> None:
    """A Probe of any use."""
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not tree.get(key):
            tree[key] = value
    if tree.get("grpc") and tree["grpc"].get("service") is None:
        tree["grpc"]["service"] = ""
    _handler(tree)


def field_reference(source: Tree) -> None:
    """The ``fieldRef`` of a variable or of a downward API file."""
    reference = source.get("fieldRef")
    if reference is not None and not reference.get("apiVersion"):
        reference["apiVersion"] = "v1"


def _variable(variable: Tree) -> None:
    source = variable.get("valueFrom")
    if not source:
        return
    field_reference(source)
    file_key = source.get("fileKeyRef")
    if file_key is not None and file_key.get("optional") is None:
        file_key["optional"] = False


def _handler(tree: Tree) -> None:
    action = tree.get("httpGet")
    if action is not None:
        if not action.get("path"):
            action["path"] = "/"
        if not action.get("scheme"):
            action["scheme"] = "HTTP"
