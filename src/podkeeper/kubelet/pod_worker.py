"""One pod's worker: the sole owner of its lifecycle on this node.

    created or adopted
          |
          v           deleted, finished, evicted,
     +---------+      past its deadline             +-------------+  nothing runs  +------------+
     | SYNCING | ---------------------------------> | TERMINATING | -------------> | TERMINATED |
     +---------+                                    +-------------+                +------------+
       ^     |  decide -> perform                      stop hooks,                   | status written; sandbox,
       |     v                                         grace, kills                  v volumes, cgroup are gone
     woken by the API, the runtime, probes,                                     +----------+  API object gone: logs and
     followed objects and its own deadlines        rejected at once ----------> | RELEASED | -----> dead containers go
                                                                                +----------+

``run`` walks this line once from left to right. The methods without ``async`` bring news and never wait.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.cgroups import CgroupError
from podkeeper.kubelet.conditions import OWNED
from podkeeper.kubelet.container_start import ContainerStarter
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.plan import Plan, PodFacts, decide, usable_sandbox
from podkeeper.kubelet.pod_actor import PodActor
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.pod_files import remove_logs, remove_pod_files
from podkeeper.kubelet.pods import grace_period, is_terminal, uses_host_network, with_status
from podkeeper.kubelet.probes.prober import PodProbes
from podkeeper.kubelet.resize import Allocation, Fits
from podkeeper.kubelet.runtime_state import PodRuntime, read_pod_runtime
from podkeeper.kubelet.status import StatusFacts, Verdict, build_status
from podkeeper.kubelet.status_writer import StatusWriter
from podkeeper.kubelet.termination import Terminator
from podkeeper.kubelet.termination_message import termination_message
from podkeeper.kubelet.volumes.pod_volumes import tear_down_volumes
from podkeeper.kubelet.waiting import Alarm, Interrupted, unless
from podkeeper.runtime.cri import ContainerState
from podkeeper.runtime.failures import RuntimeFailure

log = logging.getLogger(__name__)

DEADLINE = Verdict("Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodPhase(enum.Enum):
    """Where on its line a worker is."""

    SYNCING = enum.auto()
    TERMINATING = enum.auto()
    TERMINATED = enum.auto()
    RELEASED = enum.auto()


class PodWorker:
    """``pod`` is as the API has it, with the resources that it was given; ``adopted`` is what the runtime has of it
    from before; ``fits`` is asked when its resources change."""

    def __init__(
        self, parts: KubeletParts, pod: v1.Pod, adopted: PodRuntime, fits: Fits, verdict: Verdict | None = None
    ) -> None:
        self._parts, self._verdict, self._fits = parts, verdict, fits
        self._allocation = Allocation()
        self._wanted, self.pod = pod, self._allocation.settle(pod, fits)
        self.uid = pod.metadata.uid
        self.phase = PodPhase.SYNCING
        self.runtime = adopted
        self._alarm = Alarm(parts.clock)
        self._ending, self._hurry = asyncio.Event(), asyncio.Event()
        self._refreshed = asyncio.Event()
        self._grace: float | None = None
        self._removed = False
        self._status: v1.PodStatus | None = None
        self._messages: dict[str, str] = {}
        self._started_at = parts.clock.time()
        self._events = PodEvents(parts.events, pod)
        self._writer = StatusWriter(parts.api, pod, parts.clock)
        terminator = Terminator(pod, parts.runtime, self._events, parts.clock)
        self._terminator = terminator
        self._hooking: set[str] = set()
        starter = ContainerStarter(parts, self._events, terminator, self._ending, self._show_progress, self._hooking)
        self._actor = PodActor(parts, self._events, starter, terminator, self._ending)
        self._retry = BackOff(0.5, 10.0)
        self._probes = PodProbes(parts.runtime, parts.clock, self._events, self.nudge, parts.probes)
        if pod.metadata.deletion_timestamp or is_terminal(pod.status) or verdict is not None:
            self._end_within(grace_period(pod))

    # -- news -------------------------------------------------------------------------------------------------

    def update(self, pod: v1.Pod) -> None:
        """The API object changed."""
        self._wanted, self.pod = pod, self._allocation.settle(pod, self._fits)
        if pod.metadata.resource_version == self._writer.version:
            return  # the echo of our own status
        self._writer.observe(pod)
        if pod.metadata.deletion_timestamp or is_terminal(pod.status):
            self._end_within(grace_period(pod))
        self._actor.stale = True
        self._alarm.ring()

    def removed(self) -> None:
        """The API object is gone; its last words (a forced deletion's grace) came with the event."""
        self._removed = True
        self._writer.give_up()
        self._end_within(grace_period(self.pod))
        self._alarm.ring()

    def nudge(self) -> None:
        """Something about the pod's containers or probes changed."""
        self._alarm.ring()

    @property
    def is_removed(self) -> bool:
        """Whether the API object is gone."""
        return self._removed

    def room_changed(self) -> None:
        """Another pod has left: a resize or a sandbox that waits for what it had may succeed now."""
        if self._actor.retry_now():
            self._alarm.ring()
        if self._allocation.pending is not None:
            self.pod = self._allocation.settle(self._wanted, self._fits)
            self._alarm.ring()

    def objects_changed(self) -> None:
        """A ConfigMap or Secret that the pod refers to changed."""
        self._actor.objects_changed()
        self._alarm.ring()

    def now(self) -> float:
        """Wall time of the worker's clock."""
        return self._parts.clock.time()

    def current(self) -> v1.Pod:
        """The pod with the status that the worker last derived."""
        return self._base()

    def waiting_reason(self, name: str) -> str:
        """Why a container waits, empty when it does not."""
        statuses = (
            *self.current().status.init_container_statuses,
            *self.current().status.container_statuses,
            *self.current().status.ephemeral_container_statuses,
        )
        waiting = next((each.state.waiting for each in statuses if each.name == name), None)
        return waiting.reason if waiting else ""

    async def wait_until_ended(self, container_id: str) -> None:
        """Returns when the container no longer runs."""
        while True:
            container = self.runtime.by_id(container_id)
            if container is None or container.state is not ContainerState.RUNNING:
                return
            await self._refreshed.wait()

    def evict(self, verdict: Verdict, grace: float) -> None:
        """Ends the pod as failed."""
        if self._verdict is None and not self._ending.is_set():
            self._verdict = verdict
            self._events.warning(verdict.reason, verdict.message)
        self._end_within(grace)
        self._alarm.ring()

    def _end_within(self, grace: float) -> None:
        """Begins the end, or shortens the grace period of one that has begun; it never grows."""
        wanted = max(grace, 1.0)
        if self._grace is None or wanted < self._grace:
            shortened = self._grace is not None
            self._grace = wanted
            if shortened:
                self._hurry.set()
        self._ending.set()

    # -- the line ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Walks the pod from its beginning to its end; returns when nothing of it is left."""
        async with asyncio.TaskGroup() as tasks, self._probes:
            writing = tasks.create_task(self._writer.run(), name=f"status of {self.uid}")
            self._parts.objects.hold(self.pod, self.objects_changed)
            if self._verdict is None:
                await self._sync()
                await self._terminate()
            await self._release()
            await self._depart()
            writing.cancel()

    async def _sync(self) -> None:
        """Decides and performs until the pod ends."""
        while not self._ending.is_set():
            await self._refresh()
            plan = decide(self._facts())
            self._actor.note(plan)
            if self._status is None or not plan.starts:  # what starts now is shown when it has, or before a pull
                self._publish()
            if plan.finished or self._past_deadline():
                self._end_within(grace_period(self.pod))
                return
            try:
                settled = await self._actor.perform(self.pod, self.runtime, plan)
            except Interrupted:
                return
            if settled:
                await self._alarm.wait(self._next_deadline(plan))

    async def _terminate(self) -> None:
        """Stops what runs, again and faster when the grace period is shortened meanwhile."""
        self.phase = PodPhase.TERMINATING
        self._probes.stop_killing()
        while True:
            await self._refresh()
            running = [each for each in self.runtime.containers if each.state in _ALIVE]
            self._publish()
            if not running:
                return
            self._hurry.clear()
            try:
                await unless(self._hurry, self._terminator.end_all(running, self._grace or 1.0, self._ip()))
            except Interrupted:
                continue
            except RuntimeFailure as error:
                log.warning("pod %s: %s", self.uid, error)
                await self._parts.clock.sleep(self._retry.next_delay("stop"))

    async def _release(self) -> None:
        """Frees everything but logs and dead containers, and has the final status written."""
        self.phase = PodPhase.TERMINATED
        self._probes.stop()
        self._publish(ended=True)
        await self._insist("stop sandbox", self._stop_sandboxes)
        await self._insist("tear down volumes", self._tear_down)
        await self._insist("remove cgroup", lambda: self._parts.cgroups.remove(self.uid))
        self._parts.objects.release(self.uid)
        self._parts.tokens.forget(self.uid)
        self._parts.puller.forget(self.pod)
        await self._writer.settled()
        self.phase = PodPhase.RELEASED

    async def _depart(self) -> None:
        """Lets the API object go once its deletion was asked for; then removes what was kept for it."""
        asked = False
        while not self._removed:
            if self.pod.metadata.deletion_timestamp and not asked:
                await self._insist("delete the API object", self._delete_object)
                asked = True
            if not self._removed and not self._writer.gone:
                await self._alarm.wait()
            elif self._writer.gone:
                break
        await self._insist("remove sandbox", self._remove_sandboxes)
        await self._insist("remove files", self._remove_files)

    async def _show_progress(self) -> None:
        await self._refresh()
        self._publish()

    # -- pieces -----------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Asks the runtime again and keeps probes and last words in step."""
        known = {each.id for each in self.runtime.sandboxes} | self._actor.sandbox_ids
        self.runtime = await read_pod_runtime(self._parts.runtime, known)
        for container in self.runtime.containers:
            if container.state is ContainerState.EXITED and container.id not in self._messages:
                self._messages[container.id] = termination_message(container)
        self._probes.follow(self.pod, self.runtime.without(self._hooking), self._ip())
        refreshed, self._refreshed = self._refreshed, asyncio.Event()
        refreshed.set()

    def _ip(self) -> str:
        """Where the pod is reached; empty while it has no address."""
        ips = self._parts.node.ips if uses_host_network(self.pod) else self.runtime.ips
        return ips[0] if ips else ""

    def _facts(self) -> PodFacts:
        return PodFacts(
            pod=self.pod,
            runtime=self.runtime,
            now=self._parts.clock.time(),
            probes=self._probes.findings(),
            backoffs=self._actor.backoffs,
            owed=frozenset(self._actor.owed),
            delays=self._actor.delays,
            memory_capacity=self._parts.memory_capacity,
        )

    def _publish(self, *, ended: bool = False) -> None:
        """Says what the status should be now."""
        base = self._base()
        if is_terminal(base.status) and not self.runtime.sandboxes:
            return  # it ended before, and nothing is left that could tell more than its status does
        self._status = build_status(
            StatusFacts(
                pod=base,
                runtime=self.runtime.without(self._hooking),
                host_ips=self._parts.node.ips,
                now=self._parts.clock.time(),
                started_at=self._started_at,
                probes=self._probes.findings(),
                waiting=self._actor.waiting,
                messages=self._messages,
                verdict=self._verdict,
                resize=self._allocation.pending,
                resize_errors=self._actor.resize_errors,
                ended=ended,
                sandbox_ready=not ended and usable_sandbox(self.pod, self.runtime) is not None,
            )
        )
        self._writer.wish(self._status)

    def _base(self) -> v1.Pod:
        """The pod with the status that we last said, which the API may not show yet, and others' conditions."""
        if self._status is None:
            return self.pod
        own = [each for each in self._status.conditions if each.type in OWNED]
        others = [each for each in self.pod.status.conditions if each.type not in OWNED]
        return with_status(self.pod, msgspec.structs.replace(self._status, conditions=(*own, *others)))

    def _past_deadline(self) -> bool:
        deadline = self._active_deadline()
        if deadline is None or deadline > self._parts.clock.time() or self._verdict is not None:
            return False
        self._events.normal("DeadlineExceeded", DEADLINE.message)
        self._verdict = DEADLINE
        self._publish()
        return True

    def _active_deadline(self) -> float | None:
        seconds = self.pod.spec.active_deadline_seconds
        began = self._status.start_time if self._status else ""
        return timestamps.parse(began) + seconds if seconds is not None and began else None

    def _next_deadline(self, plan: Plan) -> float | None:
        moments = (
            plan.wake_at,
            self._actor.retry_at,
            self._actor.resize_at,
            self._active_deadline(),
            self._parts.tokens.next_renewal(self.uid),
        )
        return min((moment for moment in moments if moment is not None), default=None)

    async def _stop_sandboxes(self) -> None:
        for sandbox in self.runtime.sandboxes:
            await self._parts.runtime.stop_sandbox(sandbox.id)

    async def _remove_sandboxes(self) -> None:
        for sandbox in self.runtime.sandboxes:
            await self._parts.runtime.remove_sandbox(sandbox.id)

    async def _tear_down(self) -> None:
        pods_dir = self._parts.config.pods_dir
        if any(volume.empty_dir is not None for volume in self.pod.spec.volumes):
            await asyncio.to_thread(tear_down_volumes, pods_dir, self.uid)  # there may be very much in it
        else:
            tear_down_volumes(pods_dir, self.uid)

    async def _remove_files(self) -> None:
        remove_pod_files(self._parts.config, self.uid)
        remove_logs(self._parts.config, self.pod)

    async def _delete_object(self) -> None:
        meta = self.pod.metadata
        try:
            await self._parts.api.of(v1.Pod).delete(meta.name, meta.namespace, grace_period=0, uid=self.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _insist(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        """Does ``step`` until it succeeds, ever more patiently."""
        while True:
            try:
                await step()
                self._retry.reset(what)
                return
            except (RuntimeFailure, CgroupError, OSError, ApiError, ConnectionFailed) as error:
                log.warning("pod %s/%s: %s: %s", self.pod.metadata.namespace, self.pod.metadata.name, what, error)
                await self._parts.clock.sleep(self._retry.next_delay(what))


_ALIVE = (ContainerState.RUNNING, ContainerState.UNKNOWN)
