"""Performs a pod's plans and remembers what planning needs to know about the tries so far."""

from __future__ import annotations

import asyncio
from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.cgroups import CgroupError
from podkeeper.kubelet import labels
from podkeeper.kubelet.container_config import ContainerPlace
from podkeeper.kubelet.container_start import ContainerStarter, StartFailure
from podkeeper.kubelet.dns import HostnameTooLong
from podkeeper.kubelet.log_rotation import remove_log
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.plan import NANOSECONDS, Hold, Kill, Plan, Start, StartDelay, Update
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.pod_files import log_dir, next_attempt_by_logs
from podkeeper.kubelet.pods import container_named, ephemeral_target, format_pod, grace_period
from podkeeper.kubelet.resize import unsafe
from podkeeper.kubelet.restart import RestartBackOff, next_backoff
from podkeeper.kubelet.runtime_state import PodRuntime
from podkeeper.kubelet.sandbox_config import build_sandbox_config
from podkeeper.kubelet.termination import Ending, Terminator
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure
from podkeeper.kubelet.volumes.pod_volumes import VolumePaths, set_up_volumes
from podkeeper.kubelet.waiting import all_settled, unless
from podkeeper.runtime.cri import ContainerState, SandboxStatus
from podkeeper.runtime.failures import RuntimeFailure

RESIZE_AGAIN = 10.0


class PodActor:
    """What ``perform`` learns is read by the worker: ``backoffs``, ``owed``, ``delays``, ``waiting``, ``retry_at``,
    ``resize_errors`` by container id and ``resize_at``, when what failed there is tried again."""

    def __init__(
        self,
        parts: KubeletParts,
        events: PodEvents,
        starter: ContainerStarter,
        terminator: Terminator,
        ending: asyncio.Event,
    ) -> None:
        self._parts, self._events, self._starter, self._terminator = parts, events, starter, terminator
        self._ending = ending
        self.backoffs: dict[tuple[str, str], RestartBackOff] = {}
        self.owed: set[str] = set()
        self.delays: dict[str, StartDelay] = {}
        self.waiting: dict[str, tuple[str, str]] = {}
        self.retry_at: float | None = None
        self.resize_errors: dict[str, str] = {}
        self.resize_at: float | None = None
        self.sandbox_ids: set[str] = set()
        self.stale = True
        self._volumes: VolumePaths = {}
        self._prepared = False
        self._retry = BackOff(0.5, 30.0)
        self._announced: set[tuple[str, float]] = set()

    def objects_changed(self) -> None:
        """What failed for want of an object is tried again, volumes are brought up to date."""
        self.stale = True
        self.retry_at = None
        for name in [name for name, delay in self.delays.items() if delay.reason == "CreateContainerConfigError"]:
            del self.delays[name]

    def retry_now(self) -> bool:
        """A step that failed need not wait for its time; False when none does."""
        waiting, self.retry_at = self.retry_at is not None, None
        return waiting

    def note(self, plan: Plan) -> None:
        """Takes over what waits and why, and announces back-offs that begin."""
        names = {hold.name for hold in plan.holds} | {start.name for start in plan.starts}
        self.waiting = {name: why for name, why in self.waiting.items() if name in names}
        for hold in plan.holds:
            self.waiting[hold.name] = (hold.reason, hold.message)
            if (hold.name, hold.until) not in self._announced:
                self._announced.add((hold.name, hold.until))
                self._announce(hold)

    def _announce(self, hold: Hold) -> None:
        if hold.reason == "CrashLoopBackOff":
            pod = self._events.pod
            text = f"Back-off restarting failed container {hold.name} in pod {format_pod(pod)}"
            self._events.warning("BackOff", text, hold.name)
        elif hold.reason == "ImagePullBackOff":
            self._events.normal("BackOff", hold.message.partition(": ")[0], hold.name)
            self._events.warning("Failed", "Error: ImagePullBackOff", hold.name)

    async def perform(self, pod: v1.Pod, runtime: PodRuntime, plan: Plan) -> bool:
        """Does what the plan says; True when there is nothing more to do now. Raises Interrupted."""
        if self.retry_at is not None and self.retry_at > self._parts.clock.time():
            return True
        try:
            if plan.kills:
                await self._kill(pod, runtime, plan)
            await self._build(pod, runtime, plan)
            for start in plan.starts:
                await self._start(pod, runtime, start)
            resized = await self._update(pod, runtime, plan)
            if self.stale:
                await self._refresh_volumes(pod, runtime)
            await self._remove(plan, runtime)
        except _Postponed as failure:
            return self._postpone(failure.reason, failure.message)
        except (RuntimeFailure, CgroupError) as error:
            return self._postpone("FailedSync", f"error syncing pod: {error}")
        self.retry_at = None
        return not plan.changes and not resized

    def _postpone(self, reason: str, message: str) -> bool:
        self._events.warning(reason, message)
        self.retry_at = self._parts.clock.time() + self._retry.next_delay(reason)
        return True

    # -- steps ------------------------------------------------------------------------------------------------

    async def _kill(self, pod: v1.Pod, runtime: PodRuntime, plan: Plan) -> None:
        if plan.sandbox_changed:
            self._events.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        ips = self._parts.node.ips if pod.spec.host_network else runtime.ips
        ip = ips[0] if ips else ""
        await unless(self._ending, all_settled(*(self._kill_one(pod, runtime, kill, ip) for kill in plan.kills)))

    async def _kill_one(self, pod: v1.Pod, runtime: PodRuntime, kill: Kill, ip: str) -> None:
        container = runtime.by_id(kill.container_id)
        if container is None:
            return
        if kill.replace:
            self.owed.add(kill.container_id)
        grace = kill.grace if kill.grace is not None else grace_period(pod)
        await self._terminator.end(Ending(container, grace, kill.message), ip)

    async def _build(self, pod: v1.Pod, runtime: PodRuntime, plan: Plan) -> None:
        if (plan.create_sandbox is not None or plan.starts) and not self._prepared:
            await self._prepare(pod, runtime.ips)
        for sandbox_id in plan.stop_sandboxes:
            await self._parts.runtime.stop_sandbox(sandbox_id)
        if plan.create_sandbox is not None:
            if plan.sandbox_changed and not plan.kills:
                self._events.normal("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            await self._create_sandbox(pod, plan.create_sandbox)

    async def _prepare(self, pod: v1.Pod, pod_ips: tuple[str, ...]) -> None:
        """The pod's cgroup and volumes; both may be there already."""
        try:
            self._parts.cgroups.set_up(pod)
            self._volumes = await unless(self._ending, set_up_volumes(self._context(pod, pod_ips)))
        except VolumeFailure as error:
            raise _Postponed("FailedMount", str(error)) from error
        except CgroupError as error:
            raise _Postponed("FailedCreatePodContainer", f"unable to ensure pod container exists: {error}") from error
        self._prepared, self.stale = True, False

    def _context(self, pod: v1.Pod, pod_ips: tuple[str, ...]) -> VolumeContext:
        parts = self._parts
        return VolumeContext(pod, parts.config.pods_dir, parts.objects, parts.tokens, parts.node, pod_ips)

    async def _create_sandbox(self, pod: v1.Pod, attempt: int) -> None:
        try:
            config, dns = build_sandbox_config(self._parts, pod, attempt, self._parts.cgroups.path(pod))
            for reason, message in dns.warnings:
                self._events.warning(reason, message)
            self.sandbox_ids.add(await self._parts.runtime.run_sandbox(config))
        except (RuntimeFailure, HostnameTooLong, OSError) as error:
            raise _Postponed("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}") from error

    async def _start(self, pod: v1.Pod, runtime: PodRuntime, start: Start) -> None:
        container = container_named(pod, start.name)
        sandbox = runtime.ready_sandbox
        if container is None or sandbox is None:
            return
        if start.after is not None:
            key = (start.name, labels.container_hash(container))
            ended, now = start.after.finished_at / NANOSECONDS, self._parts.clock.time()
            self.backoffs[key] = next_backoff(self.backoffs.get(key), ended, now)
            self.owed.discard(start.after.id)
        try:
            await self._starter.start(sandbox.id, self._place(pod, runtime, sandbox, start), container)
            self.waiting.pop(start.name, None)
            self.delays.pop(start.name, None)
        except StartFailure as failure:
            self.waiting[start.name] = (failure.reason, failure.message)
            until = self._parts.clock.time() + failure.delay
            definition = labels.container_hash(container)
            self.delays[start.name] = StartDelay(failure.held_reason, failure.held_message, until, definition)

    async def _update(self, pod: v1.Pod, runtime: PodRuntime, plan: Plan) -> bool:
        """Gives containers other resources; True when that changed anything. What fails is tried again later.

        A group cannot be smaller than those below it: the pod's is opened wide until all its containers have changed.
        """
        before, self.resize_errors, self.resize_at = self.resize_errors, {}, None
        if not plan.updates:
            return bool(before)
        self._parts.cgroups.loosen(pod)
        for update in plan.updates:
            error = await self._resize(update, runtime)
            if error:
                self.resize_errors[update.container_id] = error
        if self.resize_errors:
            self.resize_at = self._parts.clock.time() + RESIZE_AGAIN
        else:
            self._parts.cgroups.set_up(pod)
        return len(self.resize_errors) < len(plan.updates) or self.resize_errors != before

    async def _resize(self, update: Update, runtime: PodRuntime) -> str:
        """Why a container cannot have its new resources now; empty when it has."""
        current = runtime.by_id(update.container_id)
        if current is None:
            return ""
        try:
            usage = await self._parts.runtime.container_usage(update.container_id)
            refusal = unsafe(current.name, update.resources, current.resources, usage)
            if not refusal:
                await self._parts.runtime.update_container(update.container_id, update.resources)
        except RuntimeFailure as error:
            return str(error)
        return refusal

    def _place(self, pod: v1.Pod, runtime: PodRuntime, sandbox: SandboxStatus, start: Start) -> ContainerPlace:
        ips = sandbox.ips or (self._parts.node.ips if pod.spec.host_network else ())
        attempt = start.attempt
        if attempt == 0:
            attempt = next_attempt_by_logs(log_dir(self._parts.config, pod), start.name)
        target = ephemeral_target(pod, start.name)
        joined = runtime.latest_in(target, sandbox.id) if target else None
        context = self._context(pod, ips)
        return ContainerPlace(pod, ips, self._volumes, context, attempt, joined.id if joined else "")

    async def _refresh_volumes(self, pod: v1.Pod, runtime: PodRuntime) -> None:
        """Brings the volumes of a running pod up to date; a failure leaves what is there."""
        self.stale = False
        if not self.resize_errors:
            self._parts.cgroups.set_up(pod)
        try:
            self._volumes = await unless(self._ending, set_up_volumes(self._context(pod, runtime.ips)))
        except VolumeFailure as error:
            self._events.warning("FailedMount", str(error))

    async def _remove(self, plan: Plan, runtime: PodRuntime) -> None:
        for container_id in plan.remove_containers:
            container = runtime.by_id(container_id)
            await self._parts.runtime.remove_container(container_id)
            if container is not None and container.state is ContainerState.EXITED and container.log_path:
                remove_log(Path(container.log_path))
        for sandbox_id in plan.remove_sandboxes:
            await self._parts.runtime.remove_sandbox(sandbox_id)
            self.sandbox_ids.discard(sandbox_id)


class _Postponed(Exception):
    """A step of the pod as a whole failed; the event to send."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
