"""The scheduler as a client of the API: watches nodes and pods, decides, binds, and says why it could not.

A decision is assumed at once, so that the next pod sees it, and bound in the background; a failure takes it back.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from random import Random
from time import perf_counter

from msgspec import Struct

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.pods import conditions
from podkeeper.api.pods.phase import is_terminal
from podkeeper.client.api import Api, ConnectionFailed, PatchKind
from podkeeper.client.event_series import SeriesRecorder
from podkeeper.client.informer import InformerFactory
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family
from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.cycle import Cycle, Unschedulable
from podkeeper.scheduler.figures import ERROR, SCHEDULED, UNSCHEDULABLE, SchedulerFigures
from podkeeper.scheduler.plugins import default_filters, default_scores
from podkeeper.scheduler.pod_facts import PodFacts, pod_facts
from podkeeper.scheduler.queue import SchedulingQueue
from podkeeper.scheduler.refusals import PLUGIN, refusal

log = logging.getLogger(__name__)

DEFAULT_SCHEDULER = "default-scheduler"
BATCH = 64  # decisions made in a row before the loop gets to the network again

#: Which plugins may change their mind when a node appears or changes, and when a placed pod goes.
NODE_PLUGINS = frozenset(plugin.name for plugin in default_filters())
POD_PLUGINS = frozenset({"NodeResourcesFit", "NodePorts"})


class SchedulerConfig(Struct, frozen=True):
    """``name`` is what pods say in spec.schedulerName; ``binders`` bounds the bindings under way at once."""

    name: str = DEFAULT_SCHEDULER
    binders: int = 32


class Scheduler:
    """One scheduler. ``run`` works until cancelled; several at once need leader election in front."""

    def __init__(
        self, config: SchedulerConfig, api: Api, informers: InformerFactory, clock: Clock, dice: Random
    ) -> None:
        self._config, self._api, self._clock = config, api, clock
        self._columns, self._queue = Columns(), SchedulingQueue(clock)
        self.figures = SchedulerFigures(config.name, self._queue)
        self._cycle = Cycle(default_filters(), default_scores(), dice, self.figures.note_point)
        self._recorder = SeriesRecorder(api, config.name, host=socket.gethostname(), clock=clock)
        self._pods, self._nodes = informers.informer(v1.Pod), informers.informer(v1.Node)
        self._assumed: dict[str, str] = {}
        self._binders = asyncio.Semaphore(config.binders)

    def __repr__(self) -> str:
        return f"<Scheduler {self._config.name} {self._columns!r} {self._queue!r}>"

    def resources(self) -> Sequence[Family]:
        """What /metrics/resources tells of all pods."""
        from podkeeper.scheduler import pod_resources  # few monitoring programs ask for it

        return pod_resources.families(self._pods.lister.list())

    async def run(self) -> None:
        """Schedules until cancelled. The informers are run by whoever made them."""
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)
        await self._nodes.wait_for_sync()
        await self._pods.wait_for_sync()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run(), name="events")
            tasks.create_task(self._queue.run(), name="queue")
            while True:
                self._schedule(tasks, await self._queue.pop())
                for _ in range(BATCH):
                    facts = self._queue.pop_nowait()
                    if facts is None:
                        break
                    self._schedule(tasks, facts)
                await asyncio.sleep(0)

    def _schedule(self, tasks: asyncio.TaskGroup, facts: PodFacts) -> None:
        started = perf_counter()
        if asked := refusal(facts):
            self._give_up(tasks, facts, asked, frozenset({PLUGIN}))
            self.figures.note_attempt(UNSCHEDULABLE, started)
            return
        outcome = self._cycle.decide(facts, self._columns)
        self.figures.note_decision(started)
        if isinstance(outcome, Unschedulable):
            self._give_up(tasks, facts, outcome.message, outcome.plugins)
            self.figures.note_attempt(UNSCHEDULABLE, started)
            return
        self._assumed[facts.pod.metadata.uid] = outcome
        self._columns.put_pod(outcome, facts)
        tasks.create_task(self._bind(facts, outcome, started), name=f"bind {facts.pod.metadata.name}")

    def _give_up(self, tasks: asyncio.TaskGroup, facts: PodFacts, why: str, plugins: frozenset[str]) -> None:
        self._queue.fail(facts, plugins)
        tasks.create_task(self._tell_unschedulable(facts, why), name=f"report {facts.pod.metadata.name}")

    async def _bind(self, facts: PodFacts, node: str, started: float) -> None:
        metadata = facts.pod.metadata
        failures, since = self._queue.history(metadata.uid)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
            "target": {"kind": "Node", "name": node},
        }
        try:
            async with self._binders:
                await self._api.of(v1.Pod).connect_create(metadata.name, "binding", binding, metadata.namespace)
        except (ApiError, ConnectionFailed) as error:
            self._take_back(facts, error)
            self.figures.note_attempt(ERROR, started)
            return
        self.figures.note_attempt(SCHEDULED, started)
        self.figures.note_placed(failures + 1, self._clock.monotonic() - since)
        message = f"Successfully assigned {metadata.namespace}/{metadata.name} to {node}"
        self._recorder.event(facts.pod, "Normal", "Scheduled", message, action="Binding")

    def _take_back(self, facts: PodFacts, error: Exception) -> None:
        uid = facts.pod.metadata.uid
        if self._assumed.pop(uid, None) is None:  # the watch has told meanwhile where the pod really is
            return
        self._columns.remove_pod(uid)
        if isinstance(error, ApiError) and error.code == 404:
            return
        log.warning("binding of %s/%s failed: %s", facts.pod.metadata.namespace, facts.pod.metadata.name, error)
        self._recorder.event(
            facts.pod, "Warning", "FailedScheduling", f"binding rejected: {error}", action="Scheduling"
        )
        self._queue.retry_later(facts)

    async def _tell_unschedulable(self, facts: PodFacts, message: str) -> None:
        pod = facts.pod
        self._recorder.event(pod, "Warning", "FailedScheduling", message, action="Scheduling")
        present = conditions.find(pod.status.conditions if pod.status else (), "PodScheduled")
        if present and (present.status, present.reason, present.message) == ("False", "Unschedulable", message):
            return
        now = timestamps.format_time(self._clock.time())
        changed = present is None or present.status != "False"
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "observedGeneration": pod.metadata.generation,
            "lastProbeTime": None,
            "lastTransitionTime": now if changed or present is None else present.last_transition_time,
        }
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
        metadata = pod.metadata
        try:
            await self._api.of(v1.Pod).patch(
                metadata.name, patch, metadata.namespace, kind=PatchKind.STRATEGIC, subresource="status"
            )
        except (ApiError, ConnectionFailed) as error:
            log.info("could not report that %s/%s does not fit: %s", metadata.namespace, metadata.name, error)

    def _node_changed(self, old: v1.Node | None, new: v1.Node | None) -> None:
        if new is None:
            if old is not None:
                self._columns.remove_node(old.metadata.name)
            return
        self._columns.put_node(new)
        if old is None or _matters(old, new):
            self._queue.wake(NODE_PLUGINS)

    def _pod_changed(self, old: v1.Pod | None, new: v1.Pod | None) -> None:
        if new is None or is_terminal(new):
            gone = new or old
            if gone is not None:
                self._forget(gone)
        elif new.spec and new.spec.node_name:
            self._queue.remove(new.metadata.uid)
            self._assumed.pop(new.metadata.uid, None)
            self._columns.put_pod(new.spec.node_name, pod_facts(new))
        elif self._is_mine(new) and (old is None or _asks_anew(old, new)):
            self._queue.add(pod_facts(new))

    def _forget(self, pod: v1.Pod) -> None:
        uid = pod.metadata.uid
        self._queue.remove(uid)
        self._assumed.pop(uid, None)
        self._columns.remove_pod(uid)
        if pod.spec and pod.spec.node_name:
            self._queue.wake(POD_PLUGINS)

    def _is_mine(self, pod: v1.Pod) -> bool:
        spec = pod.spec
        if spec is None or pod.metadata.deletion_timestamp or spec.scheduling_gates:
            return False
        return (spec.scheduler_name or DEFAULT_SCHEDULER) == self._config.name and pod.metadata.uid not in self._assumed


def _matters(old: v1.Node, new: v1.Node) -> bool:
    """Whether a node's change can make a pod fit: a heartbeat cannot."""
    same_status = (old.status and old.status.allocatable) == (new.status and new.status.allocatable)
    return not (same_status and old.spec == new.spec and old.metadata.labels == new.metadata.labels)


def _asks_anew(old: v1.Pod, new: v1.Pod) -> bool:
    """Whether what a waiting pod asks for has changed; its own status is no reason to try again."""
    return old.spec != new.spec or old.metadata.labels != new.metadata.labels
