"""Pod garbage: pods of nodes that are gone, pods that were deleted before they had a node, too many finished pods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.pods.phase import is_terminal
from podkeeper.controllers.framework import Key, Tools, Watch, own_key

QUARANTINE_SECONDS = 40.0
FINISHED_KEPT = 12_500


class PodGarbage:
    """Keys are pods. A node must be gone for 40 s before its pods are: it may be registering anew."""

    name = "pod-garbage-collector"
    workers = 4

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._nodes, self._pods = tools.informer(v1.Node), tools.informer(v1.Pod)
        self._pods.add_index("pod-gc-node", lambda pod: [pod.spec.node_name] if pod.spec and pod.spec.node_name else [])
        self._pods.add_index("pod-gc-finished", lambda pod: ["yes"] if is_terminal(pod) else [])
        self._missing: dict[str, float] = {}

    def watches(self) -> Sequence[Watch[Any]]:
        """Pods, and nodes that vanish."""

        def of_node(old: v1.Node | None, new: v1.Node | None) -> Iterable[Key]:
            if new is not None:
                self._missing.pop(new.metadata.name, None)
                return ()
            pods = self._pods.lister.by_index("pod-gc-node", old.metadata.name) if old else ()
            return [Key(pod.metadata.namespace, pod.metadata.name) for pod in pods]

        return (Watch(self._pods, own_key), Watch(self._nodes, of_node))

    async def reconcile(self, key: Key) -> float | None:
        """Deletes the pod at once, without grace, when nobody is left to end it."""
        pod = self._pods.lister.get(key.namespace, key.name)
        if pod is None:
            return None
        node = pod.spec.node_name if pod.spec else ""
        if not node:
            if pod.metadata.deletion_timestamp:
                await self._delete(pod)
        elif self._nodes.lister.get("", node) is None:
            now = self._tools.clock.monotonic()
            left = self._missing.setdefault(node, now) + QUARANTINE_SECONDS - now
            if left > 0:
                return left
            await self._delete(pod)
        elif is_terminal(pod):
            await self._trim_finished()
        return None

    async def _trim_finished(self) -> None:
        finished = self._pods.lister.by_index("pod-gc-finished", "yes")
        surplus = len(finished) - FINISHED_KEPT
        if surplus > 0:
            for pod in sorted(finished, key=lambda each: each.metadata.creation_timestamp)[:surplus]:
                await self._delete(pod)

    async def _delete(self, pod: v1.Pod) -> None:
        metadata = pod.metadata
        try:
            await self._tools.api.of(v1.Pod).delete(metadata.name, metadata.namespace, grace_period=0, uid=metadata.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
