"""Finding resources by what people call them: plural, singular, kind, short name, category; a group may follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.cli.session import fetch
from podkeeper.client.rest import RestApi
from podkeeper.cluster.errors import ClusterError

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Kinds:
    """What a server serves, preferred versions first."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources

    @classmethod
    async def discover(cls, api: RestApi) -> Kinds:
        """Asks the server: two requests, whatever it serves."""
        found: list[Resource] = []
        for path in ("/api", "/apis"):
            found += _resources(await fetch(api, path, accept=_AGGREGATED))
        return cls(found)

    def named(self, name: str) -> Sequence[Resource]:
        """What ``pods``, ``pod``, ``po``, ``Pod``, ``deployments.apps`` or a category (``all``) means; never empty.

        Raises ClusterError.
        """
        wanted, _, group = name.lower().partition(".")
        for resource in self._resources:
            names = {resource.name, resource.singular, resource.kind.lower(), *resource.short_names}
            if wanted in names and (not group or resource.group == group or resource.group.startswith(group + ".")):
                return (resource,)
        members = {each.qualified_name: each for each in reversed(self._resources) if name.lower() in each.categories}
        if not members:
            raise ClusterError(f"the server has no resource type {name!r}", "plural, singular or short name of a kind")
        return tuple(reversed(members.values()))

    def of_object(self, tree: Mapping[str, Any]) -> Resource:
        """The resource of a manifest. Raises ClusterError."""
        version, kind = tree.get("apiVersion"), tree.get("kind")
        for resource in self._resources:
            if resource.api_version == version and resource.kind == kind:
                return resource
        raise ClusterError(f"the server knows no kind {kind!r} in version {version!r}", "check apiVersion and kind")


def label(resource: Resource, name: str) -> str:
    """An object as it is spoken of: ``pod/web``, ``deployment.apps/web``."""
    kind = resource.kind.lower()
    return f"{kind}.{resource.group}/{name}" if resource.group else f"{kind}/{name}"


def _resources(tree: Mapping[str, Any]) -> Iterator[Resource]:
    for group in tree.get("items", ()):
        for version in group["versions"]:
            for row in version["resources"]:
                kind = row.get("responseKind", {}).get("kind", "")
                yield Resource(
                    group=group["metadata"].get("name", ""),
                    version=version["version"],
                    name=row["resource"],
                    kind=kind,
                    singular=row.get("singularResource") or kind.lower(),
                    namespaced=row["scope"] == "Namespaced",
                    verbs=tuple(row["verbs"]),
                    short_names=tuple(row.get("shortNames", ())),
                    categories=tuple(row.get("categories", ())),
                )
