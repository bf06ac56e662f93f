"""Discovery documents of servers behind this one, in the forms that this server's own have. Pure.

Source: upstream's aggregated discovery (KEP-3352): what a server said last is kept, and marked when it is old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.apiserver.aggregation.remotes import Remote

Tree = dict[str, Any]

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class Said(Struct, frozen=True):
    """The resources of a version as the server told them last, in the aggregated form; ``fresh`` unless it has not
    answered since."""

    resources: Sequence[Tree]
    fresh: bool


def resources_of(document: Mapping[str, Any], remote: Remote) -> Sequence[Tree] | None:
    """The resources of a version in an APIGroupDiscoveryList; None for another document or another group."""
    if document.get("kind") != "APIGroupDiscoveryList":
        return None
    for group in document.get("items") or ():
        if (group.get("metadata") or {}).get("name") == remote.group:
            for version in group.get("versions") or ():
                if version.get("version") == remote.version:
                    return list(version.get("resources") or ())
    return None


def converted(listed: Mapping[str, Any], remote: Remote) -> Sequence[Tree]:
    """The resources of an APIResourceList in the aggregated form."""
    found: dict[str, Tree] = {}
    subresources: list[tuple[str, Tree]] = []
    for each in listed.get("resources") or ():
        kind = {
            "group": each.get("group") or remote.group,
            "version": each.get("version") or remote.version,
            "kind": each.get("kind") or "",
        }
        name, _, sub = each["name"].partition("/")
        if sub:
            subresources.append((name, {"subresource": sub, "responseKind": kind, "verbs": each.get("verbs") or []}))
            continue
        found[name] = {
            "resource": name,
            "responseKind": kind,
            "scope": "Namespaced" if each.get("namespaced") else "Cluster",
            "singularResource": each.get("singularName") or "",
            "verbs": each.get("verbs") or [],
            **{key: each[key] for key in ("shortNames", "categories") if each.get(key)},
        }
    for name, tree in subresources:
        if name in found:
            found[name].setdefault("subresources", []).append(tree)
    return list(found.values())


def groups(remotes: Iterable[Remote]) -> list[Tree]:
    """APIGroups, in no order."""
    listed = []
    for name, versions in _by_group(remotes).items():
        trees = [{"groupVersion": f"{name}/{each.version}", "version": each.version} for each in versions]
        listed.append({"name": name, "versions": trees, "preferredVersion": trees[0]})
    return listed


def aggregated(remotes: Iterable[Remote], said: Mapping[str, Said]) -> list[Tree]:
    """Items of an APIGroupDiscoveryList, in no order; a version whose server never answered is stale and empty."""
    nothing = Said((), fresh=False)
    return [
        {
            "metadata": {"name": name},
            "versions": [
                {
                    "version": each.version,
                    "resources": list(said.get(each.name, nothing).resources),
                    "freshness": "Current" if said.get(each.name, nothing).fresh else "Stale",
                }
                for each in versions
            ],
        }
        for name, versions in _by_group(remotes).items()
    ]


def _by_group(remotes: Iterable[Remote]) -> Mapping[str, list[Remote]]:
    found: dict[str, list[Remote]] = {}
    for each in remotes:
        found.setdefault(each.group, []).append(each)
    return found
