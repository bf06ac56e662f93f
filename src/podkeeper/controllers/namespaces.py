"""The end of a namespace: everything in it is deleted, then the namespace lets go of its finalizer.

deletionTimestamp set --> contents deleted, again after a while as long as some remain --> finalizer removed --> gone
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from podkeeper.api import codec, timestamps
from podkeeper.api.catalogue import Resource
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.client.failures import from_answer
from podkeeper.controllers.framework import Key, Tools, Watch, namespace_key, own_key
from podkeeper.controllers.namespace_conditions import Contents, conditions_of

FINALIZER = "kubernetes"
LOOK_AGAIN_SECONDS = 5.0
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Namespaces:
    """Keys are namespaces. What there is to delete is asked of discovery each time, so custom resources count too."""

    name = "namespace-controller"
    workers = 4

    def __init__(self, tools: Tools) -> None:
        self._tools, self._namespaces = tools, tools.informer(v1.Namespace)

    def watches(self) -> Sequence[Watch[Any]]:
        """Namespaces, and the pods that leave them: those take their grace, and nothing else waits for time to pass."""
        return (
            Watch(self._namespaces, own_key),
            Watch(self._tools.informer(v1.Pod), lambda old, new: [] if new else namespace_key(old, new)),
        )

    async def reconcile(self, key: Key) -> float | None:
        """One round of deleting; looks again while something remains."""
        namespace = self._namespaces.lister.get("", key.name)
        if namespace is None or not namespace.metadata.deletion_timestamp:
            return None
        finalizers = namespace.spec.finalizers if namespace.spec else ()
        if FINALIZER not in finalizers:
            return None
        left = await self._delete_contents(key.name)
        if left:
            await self._tell(namespace, left)
            return LOOK_AGAIN_SECONDS
        await self._finalize(namespace, finalizers)
        return None

    async def _delete_contents(self, name: str) -> Contents:
        """Deletes everything, going on where something cannot be deleted, and returns what is still there.

        Pods go first, and nothing else while there are any: they may need it to end in good order.
        """
        resources, stale = await self._resources()
        round_ = _Round(self._tools, name)
        await round_.delete([each for each in resources if each.qualified_name == "pods"])
        if not round_.remaining:
            await round_.delete([each for each in resources if each.qualified_name != "pods"])
        return Contents(round_.remaining, round_.finalizers, tuple(round_.failures), stale)

    async def _resources(self) -> tuple[Sequence[Resource], tuple[str, ...]]:
        """What can be in a namespace, and the versions of groups whose server does not say what they have."""
        found: list[Resource] = []
        stale: list[str] = []
        for path in ("/api", "/apis"):
            code, _, body = await self._tools.api.request("GET", path, accept=_DISCOVERY)
            if code != 200:
                raise ApiError(code, "Unknown", f"discovery at {path} answered {code}")
            tree = msgspec.json.decode(body)
            found += _namespaced(tree)
            stale += _stale(tree)
        return found, tuple(stale)

    async def _tell(self, namespace: v1.Namespace, left: Contents) -> None:
        present = namespace.status.conditions if namespace.status else ()
        told = conditions_of(present, left, timestamps.format_time(self._tools.clock.time()))
        if told != list(present):
            patch = {"status": {"conditions": [codec.to_tree(each) for each in told]}}
            await self._tools.api.of(v1.Namespace).patch(namespace.metadata.name, patch, subresource="status")

    async def _finalize(self, namespace: v1.Namespace, finalizers: tuple[str, ...]) -> None:
        spec = v1.NamespaceSpec(finalizers=tuple(each for each in finalizers if each != FINALIZER))
        try:
            await self._tools.api.of(v1.Namespace).update(
                msgspec.structs.replace(namespace, spec=spec), subresource="finalize"
            )
        except ApiError as error:
            if error.code != 404:
                raise


class _Round:
    """One round of deleting in one namespace, and what it found."""

    def __init__(self, tools: Tools, namespace: str) -> None:
        self._api, self._namespace = tools.api, namespace
        self.remaining, self.finalizers, self.failures = Counter[str](), Counter[str](), list[str]()

    async def delete(self, resources: Iterable[Resource]) -> None:
        """Deletes all objects of these resources, and counts what is left of them."""
        for resource in resources:
            path = resource.path(self._namespace)
            if "deletecollection" in resource.verbs:
                await self._ask(resource, path)
            else:
                for item in await self._items(path):
                    await self._ask(resource, f"{path}/{item['metadata']['name']}")
            for item in await self._items(path):
                self.remaining[f"{resource.name}.{resource.group}"] += 1
                self.finalizers.update(set(item["metadata"].get("finalizers", ())))

    async def _ask(self, resource: Resource, path: str) -> None:
        answer = await self._api.request("DELETE", path, query={"propagationPolicy": "Background"})
        if answer[0] >= 400 and answer[0] not in (404, 405):
            self.failures.append(f"{resource.qualified_name}: {from_answer(*answer).message}")

    async def _items(self, path: str) -> Sequence[dict[str, Any]]:
        code, _, body = await self._api.request("GET", path, query={"limit": "500"})
        items: Sequence[dict[str, Any]] = msgspec.json.decode(body).get("items") or () if code == 200 else ()
        return items


def _stale(tree: dict[str, Any]) -> Iterator[str]:
    for group in tree.get("items", ()):
        for version in group["versions"]:
            if version.get("freshness") == "Stale":
                yield f"{group['metadata'].get('name', '')}/{version['version']}"


def _namespaced(tree: dict[str, Any]) -> Iterator[Resource]:
    for group in tree.get("items", ()):
        version = group["versions"][0]
        for row in version["resources"]:
            if row["scope"] == "Namespaced" and {"list", "delete"} <= set(row["verbs"]):
                yield Resource(
                    group=group["metadata"].get("name", ""),
                    version=version["version"],
                    name=row["resource"],
                    kind=row["responseKind"]["kind"],
                    singular=row.get("singularResource", ""),
                    namespaced=True,
                    verbs=tuple(row["verbs"]),
                )
