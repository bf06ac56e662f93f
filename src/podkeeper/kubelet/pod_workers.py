"""All pods of the node: one worker per UID, made when a pod appears, gone when nothing of it is left.

Translates lists and events of the API and the runtime into news for the worker concerned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from podkeeper.api.core import v1
from podkeeper.client.api import WatchEvent
from podkeeper.kubelet.admission import NodeRoom, admit, admit_resize
from podkeeper.kubelet.orphans import leftover_uids, remove_orphan
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.pod_worker import PodPhase, PodWorker
from podkeeper.kubelet.pods import format_pod, is_terminal
from podkeeper.kubelet.resize import ResizeRefusal
from podkeeper.kubelet.runtime_state import PodRuntime, read_pod_runtime
from podkeeper.kubelet.status import Verdict
from podkeeper.runtime.cri import RuntimeEvent

log = logging.getLogger(__name__)

AFTER_CRASH = 10.0


class PodWorkers:
    """The workers live in ``tasks``; ``room`` is asked when a pod is new. A reflector's sink for the node's pods."""

    def __init__(self, parts: KubeletParts, tasks: asyncio.TaskGroup, room: Callable[[], NodeRoom]) -> None:
        self._parts, self._tasks, self._room = parts, tasks, room
        self._workers: dict[str, PodWorker] = {}
        self._adoptable: dict[str, PodRuntime] = {}
        self._listed = False

    def __iter__(self) -> Iterator[PodWorker]:
        return iter(list(self._workers.values()))

    async def adopt(self) -> None:
        """Takes note of what runs already, for pods that the API will name. Before any list or event."""
        sandboxes, containers = await self._parts.runtime.list_sandboxes(), await self._parts.runtime.list_containers()
        for uid in {each.uid for each in sandboxes}:
            own = [each for each in sandboxes if each.uid == uid]
            ids = {each.id for each in own}
            self._adoptable[uid] = PodRuntime.of(own, (each for each in containers if each.sandbox_id in ids))

    def worker(self, uid: str) -> PodWorker | None:
        """The worker of that pod."""
        return self._workers.get(uid)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the pod of that name; of two (one ending, one new) the newer."""
        found = (
            each
            for each in reversed(self._workers.values())
            if each.pod.metadata.name == name and each.pod.metadata.namespace == namespace
        )
        return next(found, None)

    # -- news -------------------------------------------------------------------------------------------------

    def replace(self, pods: Sequence[v1.Pod], version: str) -> None:
        """A complete list of the node's pods; the first one also tells which leftovers belong to nobody."""
        present = {pod.metadata.uid for pod in pods}
        for uid, worker in list(self._workers.items()):
            if uid not in present:
                worker.removed()
        for pod in sorted(pods, key=lambda each: (each.metadata.creation_timestamp, each.metadata.name)):
            self._updated(pod)
        if not self._listed:
            self._listed = True
            self._remove_orphans(present)

    def apply(self, event: WatchEvent[v1.Pod]) -> None:
        """One change of a pod of this node."""
        pod = event.object
        if pod is None:
            return
        if event.type != "DELETED":
            self._updated(pod)
            return
        worker = self._workers.get(pod.metadata.uid)
        if worker is not None:
            worker.pod = pod
            worker.removed()

    def runtime_event(self, event: RuntimeEvent) -> None:
        """Something happened to a sandbox or container."""
        worker = self._workers.get(event.pod_uid)
        if worker is not None:
            worker.nudge()

    def _remove_orphans(self, present: set[str]) -> None:
        """Whatever is here of pods that the API does not know: sandboxes, or only directories and cgroups."""
        left = self._adoptable.keys() | leftover_uids(self._parts)
        for uid in left - present:
            leftover = self._adoptable.get(uid, PodRuntime())
            self._tasks.create_task(remove_orphan(self._parts, uid, leftover), name=f"orphan {uid}")
        self._adoptable = {}

    def _updated(self, pod: v1.Pod) -> None:
        uid = pod.metadata.uid
        worker = self._workers.get(uid)
        if worker is not None:
            worker.update(pod)
            return
        adopted = self._adoptable.pop(uid, PodRuntime())
        verdict = None if adopted.sandboxes else self._admit(pod)
        worker = self._workers[uid] = PodWorker(self._parts, pod, adopted, self._fits, verdict)
        self._tasks.create_task(self._work(worker), name=f"pod {pod.metadata.namespace}/{pod.metadata.name}")

    def _admit(self, pod: v1.Pod) -> Verdict | None:
        if pod.metadata.deletion_timestamp or is_terminal(pod.status):
            return None
        verdict = admit(pod, self._others(pod), self._room())
        if verdict is not None:
            text = verdict.message.removeprefix("Pod was rejected: ")
            PodEvents(self._parts.events, pod).warning(verdict.reason, text)
        return verdict

    def _fits(self, pod: v1.Pod) -> ResizeRefusal | None:
        return admit_resize(pod, self._others(pod), self._room())

    def _others(self, pod: v1.Pod) -> list[v1.Pod]:
        """The pods that count besides ``pod``: those that the API knows and whose containers may still run.

        One that the API has let go before its containers ended does not count, as upstream; whoever takes its place
        waits where it matters, for a hostPort for instance.
        """
        active = (PodPhase.SYNCING, PodPhase.TERMINATING)
        known = (each for each in self._workers.values() if each.phase in active and not each.is_removed)
        return [each.pod for each in known if each.uid != pod.metadata.uid]

    async def _work(self, worker: PodWorker) -> None:
        """Runs a worker to its end. One that crashes is replaced: a defect met by one pod must not stop the node."""
        while True:
            try:
                await worker.run()
                break
            except Exception:
                log.exception("worker of pod %s crashed; it is started anew", format_pod(worker.pod))
                await self._parts.clock.sleep(AFTER_CRASH)
                ids = [each.id for each in worker.runtime.sandboxes]
                adopted = await read_pod_runtime(self._parts.runtime, ids)
                worker = self._workers[worker.uid] = PodWorker(self._parts, worker.pod, adopted, self._fits)
        del self._workers[worker.uid]
        for other in self:
            other.room_changed()
