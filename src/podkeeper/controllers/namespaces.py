"""The end of a namespace: everything in it is deleted, then the namespace lets go of its finalizer.

deletionTimestamp set --> contents deleted, again after a while as long as some remain --> finalizer removed --> gone
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
        """Deletes everything, going on where something cannot be deleted, and returns what is still there."""
        remaining, finalizers, failures = Counter[str](), Counter[str](), list[str]()
        for resource in await self._resources():
            path = resource.path(name)
            if "deletecollection" in resource.verbs:
                answer = await self._tools.api.request("DELETE", path, query={"propagationPolicy": "Background"})
                if answer[0] >= 400 and answer[0] not in (404, 405):
                    failures.append(f"{resource.qualified_name}: {from_answer(*answer).message}")
            code, _, body = await self._tools.api.request("GET", path, query={"limit": "500"})
            for item in msgspec.json.decode(body).get("items") or () if code == 200 else ():
                remaining[f"{resource.name}.{resource.group}"] += 1
                finalizers.update(set(item["metadata"].get("finalizers", ())))
        return Contents(remaining, finalizers, tuple(failures))

    async def _resources(self) -> Sequence[Resource]:
        found: list[Resource] = []
        for path in ("/api", "/apis"):
            code, _, body = await self._tools.api.request("GET", path, accept=_DISCOVERY)
            if code != 200:
                raise ApiError(code, "Unknown", f"discovery at {path} answered {code}")
            found += _namespaced(msgspec.json.decode(body))
        return found

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
