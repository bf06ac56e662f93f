"""How many pods the owner of a pod wants, through the owner's own fields or its scale subresource."""

from __future__ import annotations

from typing import Any

import orjson

from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.framework import Tools
from podkeeper.controllers.ownership import controller_of


class NoScale(Exception):
    """The owner is not there, or does not tell how many pods it wants. The text is for people."""


class OwnerScales:
    """Looks in the local copies for the common kinds, asks the server for all others."""

    def __init__(self, tools: Tools) -> None:
        self._api = tools.api
        self._sets = tools.lister(apps.ReplicaSet)
        self._deployments = tools.lister(apps.Deployment)
        self._replication = tools.lister(v1.ReplicationController)

    async def of_pod(self, pod: v1.Pod) -> tuple[str, int] | None:
        """The UID of the owner and what it wants; None for a pod that nobody manages. Raises NoScale."""
        reference = controller_of(pod)
        if reference is None:
            return None
        group, namespace = reference.api_version.rpartition("/")[0], pod.metadata.namespace
        if (group, reference.kind) == ("", "ReplicationController"):
            return _sized(self._replication.get(namespace, reference.name), reference, pod)
        if (group, reference.kind) == ("apps", "ReplicaSet"):
            return self._of_set(self._sets.get(namespace, reference.name), reference, pod)
        return await self._asked(reference, pod)

    def _of_set(self, found: Any, reference: meta.OwnerReference, pod: v1.Pod) -> tuple[str, int]:
        own = _sized(found, reference, pod)
        above = controller_of(found)
        if above is None or above.kind != "Deployment" or not above.api_version.startswith("apps/"):
            return own
        return _sized(self._deployments.get(pod.metadata.namespace, above.name), above, pod)

    async def _asked(self, reference: meta.OwnerReference, pod: v1.Pod) -> tuple[str, int]:
        group = reference.api_version.rpartition("/")[0]
        root = f"/apis/{reference.api_version}" if group else f"/api/{reference.api_version}"
        served = await self._get(root, reference)
        names = [each["name"] for each in served.get("resources", ()) if each.get("kind") == reference.kind]
        plural = next((name for name in names if "/" not in name), "")
        if not plural:
            raise NoScale(f'found no controllers for pod "{pod.metadata.name}"')
        if f"{plural}/scale" not in [each["name"] for each in served["resources"]]:
            raise NoScale(f"{plural}.{group} does not implement the scale subresource")
        scale = await self._get(
            f"{root}/namespaces/{pod.metadata.namespace}/{plural}/{reference.name}/scale", reference
        )
        if scale["metadata"].get("uid") != reference.uid:
            raise NoScale(f'found no controllers for pod "{pod.metadata.name}"')
        return reference.uid, int((scale.get("spec") or {}).get("replicas") or 0)

    async def _get(self, path: str, reference: meta.OwnerReference) -> Any:
        code, _, body = await self._api.request("GET", path)
        if code != 200:
            raise NoScale(f"{reference.kind} {reference.name} has no scale that could be read: {code}")
        return orjson.loads(body)


def _sized(found: Any, reference: meta.OwnerReference, pod: v1.Pod) -> tuple[str, int]:
    if found is None or found.metadata.uid != reference.uid:
        raise NoScale(f'found no controllers for pod "{pod.metadata.name}"')
    return found.metadata.uid, 1 if found.spec.replicas is None else found.spec.replicas
