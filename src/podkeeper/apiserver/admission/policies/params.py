"""The objects that a binding gives its policy as ``params``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import ListOptions

Tree = Mapping[str, Any]


class BadParams(Exception):
    """A policy or binding whose params cannot be had, in upstream's words."""


async def collect(
    kind: Tree | None, reference: Tree | None, namespace: str, live: LiveObjects
) -> Sequence[Tree | None]:
    """The params of one binding: none where nothing was found and that is allowed, one None where none are asked for.

    ``namespace`` is that of the write. Raises BadParams.
    """
    if kind is None or reference is None:
        return [None]
    resource = resource_of(kind, live)
    if resource is None:
        shown = f"&ParamKind{{APIVersion:{kind.get('apiVersion')},Kind:{kind.get('kind')},}}"
        raise BadParams(f"paramKind kind `{shown}` not known")
    found = await _find(resource, reference, _namespace(resource, reference, namespace), live)
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise BadParams("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found


def resource_of(kind: Tree, live: LiveObjects) -> Resource | None:
    """The served resource of a paramKind."""
    for resource in live.registry.resources().values():
        if (resource.api_version, resource.kind) == (kind.get("apiVersion"), kind.get("kind")):
            return resource
    return None


def _namespace(resource: Resource, reference: Tree, namespace: str) -> str:
    given = reference.get("namespace") or ""
    if not resource.namespaced:
        if given:
            raise BadParams("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    if not given and not namespace:
        raise BadParams("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    return given or namespace


async def _find(resource: Resource, reference: Tree, namespace: str, live: LiveObjects) -> Sequence[Tree]:
    verbs = live.registry.verbs(resource.group, resource.version, resource.name)
    if verbs is None:
        return []
    try:
        if reference.get("name"):
            return [(await verbs.get(namespace, reference["name"])).tree()]
        wanted = str(label_selectors.from_tree(reference.get("selector") or {}))
        listing = await verbs.list(namespace, ListOptions(label_selector=wanted))
        return [item.tree() for item in listing.items]
    except ApiError as error:
        if error.code == 404:
            return []
        raise BadParams(str(error)) from error
