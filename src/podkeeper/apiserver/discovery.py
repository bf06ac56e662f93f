"""Discovery documents as trees, from the rows that are served: the legacy lists and the aggregated form (apidiscovery
v2).

Groups and versions are in the order of their priority, whoever answers them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from podkeeper.api.catalogue import Resource, Subresource
from podkeeper.apiserver.priorities import Priorities, RemotePriorities
from podkeeper.registry.storage_versions import storage_version

Tree = dict[str, Any]


class RemoteGroups(Protocol):
    """Groups that other servers answer."""

    @property
    def revision(self) -> int:
        """Another number whenever the rest has changed."""
        ...

    def priorities(self) -> RemotePriorities:
        """Of all their groups and versions."""
        ...

    def groups(self) -> list[Tree]:
        """APIGroups without kind."""
        ...

    def aggregated(self) -> list[Tree]:
        """Items of an APIGroupDiscoveryList."""
        ...


def with_remote_groups(own: Iterable[Tree], remote: RemoteGroups) -> list[Tree]:
    """APIGroups with those of other servers; a group of both has the versions of both."""
    priorities = Priorities(remote.priorities())
    merged = _merged(own, remote.groups(), _listed_name, priorities)
    for group in merged:
        group["preferredVersion"] = group["versions"][0]
    return sorted(merged, key=lambda each: priorities.of_listed_group(_listed_name(each), _versions(each)))


def with_remote_items(own: Iterable[Tree], remote: RemoteGroups) -> list[Tree]:
    """The same for the items of an APIGroupDiscoveryList."""
    priorities = Priorities(remote.priorities())
    merged = _merged(own, remote.aggregated(), _item_name, priorities)
    return sorted(merged, key=lambda each: priorities.of_group(_item_name(each), _versions(each)))


def _merged(
    own: Iterable[Tree], remote: Iterable[Tree], name_of: Callable[[Tree], str], priorities: Priorities
) -> list[Tree]:
    found: dict[str, Tree] = {}
    for each in (*own, *remote):  # a version of both is the other server's: it gets the requests
        name = name_of(each)
        known = found.get(name, {"versions": ()})["versions"]
        versions = {version["version"]: version for version in (*known, *each["versions"])}
        order = sorted(versions, key=priorities.of_versions(name))
        found[name] = {**each, "versions": [versions[version] for version in order]}
    return list(found.values())


def _listed_name(group: Tree) -> str:
    return str(group["name"])


def _item_name(item: Tree) -> str:
    return str(item["metadata"].get("name", ""))


def _versions(group: Tree) -> list[str]:
    return [each["version"] for each in group["versions"]]


class Served:
    """Rows by group and version, as discovery shows them."""

    def __init__(self, rows: Iterable[Resource]) -> None:
        found: dict[str, dict[str, list[Resource]]] = {}
        for row in rows:
            found.setdefault(row.group, {}).setdefault(row.version, []).append(row)
        self._priorities = Priorities()
        self._rows = {
            group: {
                version: found[group][version]
                for version in sorted(found[group], key=self._priorities.of_versions(group))
            }
            for group in sorted(found, key=lambda each: self._priorities.of_group(each, found[each]))
        }

    def groups(self) -> Sequence[str]:
        """Named groups, not the core group, in the order of the aggregated form."""
        return [group for group in self._rows if group]

    def listed_groups(self) -> Sequence[str]:
        """The same in the order of the list."""
        return sorted(self.groups(), key=lambda each: self._priorities.of_listed_group(each, self._rows[each]))

    def versions(self, group: str) -> Sequence[str]:
        """Versions of a group, the preferred one first; none for a group that is not served."""
        return list(self._rows.get(group, ()))

    def rows(self, group: str, version: str) -> Sequence[Resource]:
        """Rows of a version by name; none for a version that is not served."""
        return sorted(self._rows.get(group, {}).get(version, ()), key=lambda row: row.name)


def api_versions(address: str) -> Tree:
    """GET /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_groups(served: Served) -> Tree:
    """GET /apis."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(served, name) for name in served.listed_groups()],
    }


def api_group(served: Served, name: str) -> Tree | None:
    """GET /apis/GROUP; None for a group that is not served."""
    if not name or not served.versions(name):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(served, name)}


def _group(served: Served, name: str) -> Tree:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in served.versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def api_resources(served: Served, group: str, version: str) -> Tree | None:
    """GET /api/v1 or /apis/GROUP/VERSION; None for a version that is not served."""
    rows = served.rows(group, version)
    if not rows:
        return None
    listed = []
    for row in rows:
        listed.append(_resource(row))
        listed += [_subresource(row, sub) for _, sub in sorted(row.subresources.items())]
    head: Tree = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return head | {"groupVersion": f"{group}/{version}" if group else version, "resources": listed}


def _resource(row: Resource) -> Tree:
    tree: Tree = {
        "name": row.name,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        tree["shortNames"] = list(row.short_names)
    if row.categories:
        tree["categories"] = list(row.categories)
    if "watch" in row.verbs:
        tree["storageVersionHash"] = storage_version_hash(row)
    return tree


def _subresource(row: Resource, sub: Subresource) -> Tree:
    tree: Tree = {"name": f"{row.name}/{sub.name}", "singularName": "", "namespaced": row.namespaced}
    if (sub.group, sub.version) != (row.group, row.version):
        tree |= {"group": sub.group, "version": sub.version}
    return tree | {"kind": sub.kind, "verbs": list(sub.verbs)}


def storage_version_hash(row: Resource) -> str:
    """Tells clients whether two resources are one in the store."""
    group, version = storage_version(row)
    digest = hashlib.sha256(f"{group}/{version}/{row.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated(served: Served, groups: Sequence[str]) -> Tree:
    """GET /api (for the core group) or /apis with an Accept header that asks for APIGroupDiscoveryList."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [_aggregated_version(served, group, each) for each in served.versions(group)],
            }
            for group in groups
        ],
    }


def _aggregated_version(served: Served, group: str, version: str) -> Tree:
    resources = [_aggregated_resource(row) for row in served.rows(group, version)]
    return {"version": version, "resources": resources, "freshness": "Current"}


def _aggregated_resource(row: Resource) -> Tree:
    tree: Tree = {
        "resource": row.name,
        "responseKind": {"group": "", "version": "", "kind": row.kind},
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": list(row.verbs),
    }
    if row.short_names:
        tree["shortNames"] = list(row.short_names)
    if row.categories:
        tree["categories"] = list(row.categories)
    if row.subresources:
        tree["subresources"] = [_aggregated_subresource(row, sub) for _, sub in sorted(row.subresources.items())]
    return tree


def _aggregated_subresource(row: Resource, sub: Subresource) -> Tree:
    other = (sub.group, sub.version) != (row.group, row.version)
    kind = {"group": sub.group if other else "", "version": sub.version if other else "", "kind": sub.kind}
    return {"subresource": sub.name, "responseKind": kind, "verbs": list(sub.verbs)}
