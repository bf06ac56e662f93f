"""Finding a resource by whatever people call it: plural, singular, kind or short name, with or without its group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.client.rest import RestApi
from podkeeper.cluster.errors import ClusterError

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Kinds:
    """What a server serves, preferred versions first."""

    def __init__(self, resources: list[Resource]) -> None:
        self._resources = resources

    @classmethod
    async def discover(cls, api: RestApi) -> Kinds:
        """Asks the server: two requests, whatever it serves."""
        found: list[Resource] = []
        for path in ("/api", "/apis"):
            _, _, body = await api.request("GET", path, accept=_AGGREGATED)
            found += _resources(msgspec.json.decode(body))
        return cls(found)

    def by_name(self, name: str) -> Resource:
        """The resource that ``pods``, ``pod``, ``po``, ``Pod`` or ``deployments.apps`` means. Raises ClusterError."""
        wanted, _, group = name.lower().partition(".")
        for resource in self._resources:
            names = {resource.name, resource.singular, resource.kind.lower(), *resource.short_names}
            if wanted in names and (not group or resource.group == group or resource.group.startswith(group + ".")):
                return resource
        raise ClusterError(f"the server has no resource type {name!r}", "podkeeper get customresourcedefinitions")

    def of_object(self, tree: Mapping[str, Any]) -> Resource:
        """The resource of a manifest. Raises ClusterError."""
        version, kind = tree.get("apiVersion"), tree.get("kind")
        for resource in self._resources:
            if resource.api_version == version and resource.kind == kind:
                return resource
        raise ClusterError(f"the server knows no kind {kind!r} in version {version!r}", "check apiVersion and kind")


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
                )
