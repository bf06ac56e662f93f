"""Taint eviction: a pod that does not tolerate a NoExecute taint of its node is deleted, when its time is up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.pods.tolerations import NO_EXECUTE, seconds_to_stay
from podkeeper.controllers.framework import Key, Tools, Watch, own_key


class TaintEviction:
    """Keys are pods."""

    name = "taint-eviction-controller"
    workers = 8

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._nodes, self._pods = tools.informer(v1.Node), tools.informer(v1.Pod)
        self._pods.add_index("taint-eviction-node", _node_of)

    def watches(self) -> Sequence[Watch[Any]]:
        """Pods when they are placed or change what they tolerate; nodes when their NoExecute taints change."""

        def of_pod(old: v1.Pod | None, new: v1.Pod | None) -> Iterable[Key]:
            if new is None or (old and _node_of(old) == _node_of(new) and old.spec == new.spec):
                return ()
            return own_key(old, new)

        def of_node(old: v1.Node | None, new: v1.Node | None) -> Iterable[Key]:
            if new is None or _lasting(old) == _lasting(new):
                return ()
            pods = self._pods.lister.by_index("taint-eviction-node", new.metadata.name)
            return [Key(pod.metadata.namespace, pod.metadata.name) for pod in pods]

        return (Watch(self._pods, of_pod), Watch(self._nodes, of_node))

    async def reconcile(self, key: Key) -> float | None:
        """Deletes the pod when its time is up, otherwise says when that will be."""
        pod = self._pods.lister.get(key.namespace, key.name)
        if pod is None or pod.spec is None or pod.metadata.deletion_timestamp or not pod.spec.node_name:
            return None
        taints = _lasting(self._nodes.lister.get("", pod.spec.node_name))
        seconds = seconds_to_stay(taints, pod.spec.tolerations) if taints else None
        if seconds is None:
            return None
        since = max((timestamps.parse(each.time_added) for each in taints if each.time_added), default=None)
        now = self._tools.clock.time()
        left = (since if since is not None else now) + seconds - now
        if left > 0:
            return left
        await self._evict(pod)
        return None

    async def _evict(self, pod: v1.Pod) -> None:
        metadata = pod.metadata
        message = f"Marking for deletion Pod {metadata.namespace}/{metadata.name}"
        self._tools.recorder.event(pod, "Normal", "TaintManagerEviction", message)
        try:
            await self._tools.api.of(v1.Pod).delete(metadata.name, metadata.namespace, uid=metadata.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _node_of(pod: v1.Pod) -> list[str]:
    return [pod.spec.node_name] if pod.spec and pod.spec.node_name else []


def _lasting(node: v1.Node | None) -> tuple[v1.Taint, ...]:
    spec = node.spec if node else None
    return tuple(each for each in (spec.taints if spec else ()) if each.effect == NO_EXECUTE)
