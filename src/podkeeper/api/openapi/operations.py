"""What can be called: paths, methods, actions and parameters of a resource, for both OpenAPI versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from podkeeper.api.catalogue import Resource, Subresource

WRITE = ("dryRun", "fieldManager", "fieldValidation")
LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
DELETE_COLLECTION = (*DELETE, *(name for name in LIST if name not in ("allowWatchBookmarks", "watch")))
LOG = (
    "container",
    "follow",
    "insecureSkipTLSVerifyBackend",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "stream",
    "tailLines",
    "timestamps",
)
EXEC = ("command", "container", "stderr", "stdin", "stdout", "tty")
CONNECT = {"exec": EXEC, "attach": EXEC[1:], "portforward": ("ports",), "proxy": ("path",), "log": LOG}

BOOLEANS = {
    "allowWatchBookmarks",
    "follow",
    "force",
    "insecureSkipTLSVerifyBackend",
    "orphanDependents",
    "previous",
    "sendInitialEvents",
    "stderr",
    "stdin",
    "stdout",
    "timestamps",
    "tty",
    "watch",
}
INTEGERS = {"gracePeriodSeconds", "limit", "limitBytes", "ports", "sinceSeconds", "tailLines", "timeoutSeconds"}

JSON_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``body`` and ``answer`` name kinds as (group, version, kind), None for what has none."""

    path: str
    method: str
    action: str
    kind: tuple[str, str, str]
    tag: str
    query: tuple[str, ...] = ()
    body: tuple[str, str, str] | None = None
    answer: tuple[str, str, str] | None = None
    codes: tuple[int, ...] = (200,)
    is_patch: bool = False


def parameter_type(name: str) -> str:
    """The OpenAPI type of a query parameter."""
    if name in BOOLEANS:
        return "boolean"
    return "integer" if name in INTEGERS else "string"


def operations(resource: Resource) -> Iterator[Operation]:
    """Everything that can be called on a resource, subresources included."""
    own = (resource.group, resource.version, resource.kind)
    listing = (resource.group, resource.version, f"{resource.kind}List")
    collection = resource.path("{namespace}" if resource.namespaced else "")
    single, tag = f"{collection}/{{name}}", _tag(resource)
    verbs = resource.verbs
    if "list" in verbs:
        yield Operation(collection, "get", "list", own, tag, LIST, None, listing)
        if resource.namespaced:
            yield Operation(resource.path(), "get", "list", own, tag, LIST, None, listing)
    if "create" in verbs:
        yield Operation(collection, "post", "post", own, tag, WRITE, own, own, (200, 201, 202))
    if "deletecollection" in verbs:
        status = ("", "v1", "Status")
        options = ("", "v1", "DeleteOptions")
        yield Operation(collection, "delete", "deletecollection", own, tag, DELETE_COLLECTION, options, status)
    yield from _single(single, tag, own, own, verbs)
    for subresource in resource.subresources.values():
        yield from _subresource(f"{single}/{subresource.name}", tag, own, subresource)


def _single(
    path: str, tag: str, kind: tuple[str, str, str], body: tuple[str, str, str], verbs: tuple[str, ...]
) -> Iterator[Operation]:
    if "get" in verbs:
        yield Operation(path, "get", "get", kind, tag, (), None, body)
    if "update" in verbs:
        yield Operation(path, "put", "put", kind, tag, WRITE, body, body, (200, 201))
    if "patch" in verbs:
        query = (*WRITE, "force")
        yield Operation(path, "patch", "patch", kind, tag, query, ("", "v1", "Patch"), body, (200, 201), is_patch=True)
    if "delete" in verbs:
        status, options = ("", "v1", "Status"), ("", "v1", "DeleteOptions")
        yield Operation(path, "delete", "delete", kind, tag, DELETE, options, status, (200, 202))


def _subresource(path: str, tag: str, owner: tuple[str, str, str], found: Subresource) -> Iterator[Operation]:
    if found.name in CONNECT:
        action = "get" if found.name == "log" else "connect"
        for method in ("get",) if found.name == "log" else ("get", "post"):
            yield Operation(path, method, action, owner, tag, CONNECT[found.name])
        return
    kind = (found.group, found.version, found.kind)
    if "create" in found.verbs:
        yield Operation(path, "post", "post", kind, tag, WRITE, kind, kind, (200, 201, 202))
    yield from _single(path, tag, kind, kind, found.verbs)


def _tag(resource: Resource) -> str:
    group = resource.group.split(".", maxsplit=1)[0] or "core"
    return f"{group}_{resource.version}"
