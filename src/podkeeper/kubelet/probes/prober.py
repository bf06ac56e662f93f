"""When a pod's containers are probed, and what the results mean for them.

    container runs --> startup probe until success --> readiness and liveness probes, each in its own rhythm
                          | failed                       | failed
                          v                              v
                       killed                 not ready, or killed (a killed one is not asked again)

One task per container and probe; results are kept by container id, so that a restarted container begins anew.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from types import TracebackType

from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.plan import NANOSECONDS, ProbeFailure, ProbeFindings
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.pods import sidecars
from podkeeper.kubelet.probes.ask import ProbeTarget, ask
from podkeeper.kubelet.probes.figures import ProbeFigures
from podkeeper.kubelet.probes.outcome import Outcome, Tally, Timing, Verdict
from podkeeper.kubelet.runtime_state import PodRuntime
from podkeeper.runtime.cri import ContainerState, ContainerStatus, RuntimeService

MAX_TRIES = 3


class _Watched(Struct):
    """One running container's probes and what they found."""

    pod: v1.Pod
    target: ProbeTarget
    began: float
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ready: bool = True
    failed: ProbeFailure | None = None
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def cancel(self, *kinds: str) -> None:
        for kind in kinds or tuple(self.tasks):
            task = self.tasks.pop(kind, None)
            if task is not None:
                task.cancel()


class PodProbes:
    """The probes of one pod; an async context in which their tasks live. ``on_change`` is called after each result."""

    def __init__(
        self,
        runtime: RuntimeService,
        clock: Clock,
        events: PodEvents,
        on_change: Callable[[], None],
        figures: ProbeFigures,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._runtime, self._clock, self._events = runtime, clock, events
        self._on_change, self._jitter, self._figures = on_change, jitter, figures
        self._group = asyncio.TaskGroup()
        self._watched: dict[str, _Watched] = {}
        self._killing = True

    async def __aenter__(self) -> PodProbes:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await self._group.__aexit__(kind, error, trace)

    def findings(self) -> ProbeFindings:
        """What planning and status need to know now."""
        return ProbeFindings(
            not_started=frozenset(cid for cid, each in self._watched.items() if not each.started.is_set()),
            not_ready=frozenset(cid for cid, each in self._watched.items() if not each.ready),
            failed={cid: each.failed for cid, each in self._watched.items() if each.failed is not None},
        )

    def follow(self, pod: v1.Pod, runtime: PodRuntime, pod_ip: str) -> None:
        """Starts probing containers that run now and forgets those that do not."""
        running = {each.id: each for each in runtime.containers if each.state is ContainerState.RUNNING}
        for container_id in [each for each in self._watched if each not in running]:
            self._watched.pop(container_id).cancel()
        for container in (*pod.spec.containers, *sidecars(pod)):
            current = runtime.latest(container.name)
            fresh = current is not None and current.id in running and current.id not in self._watched
            if current is not None and fresh and _probes_of(container):
                self._watch(pod, ProbeTarget(container, current.id, pod_ip), current)

    def stop_killing(self) -> None:
        """The pod ends: nothing is killed for its health any more; readiness is still told."""
        self._killing = False
        for watched in self._watched.values():
            watched.cancel("liveness", "startup")
            watched.failed = None

    def stop(self) -> None:
        """Ends all probing."""
        for watched in self._watched.values():
            watched.cancel()
            self._figures.forget(watched.pod.metadata.uid)

    def _watch(self, pod: v1.Pod, target: ProbeTarget, current: ContainerStatus) -> None:
        watched = self._watched[target.container_id] = _Watched(pod, target, current.started_at / NANOSECONDS)
        known = _known_status(pod, target)
        watched.ready = target.container.readiness_probe is None or bool(known and known.ready)
        if target.container.startup_probe is None or bool(known and known.started):
            watched.started.set()
        delay = self._jitter() if known is not None else 0.0
        for kind, probe in _probes_of(target.container):
            if kind == "startup" and watched.started.is_set():
                continue
            if kind == "readiness" or self._killing:
                loop = self._loop(watched, kind, probe, delay * Timing.of(probe).period)
                watched.tasks[kind] = self._group.create_task(loop, name=f"{kind} probe of {target.container.name}")

    async def _loop(self, watched: _Watched, kind: str, probe: v1.Probe, jitter: float) -> None:
        timing, tally = Timing.of(probe), Tally(Timing.of(probe))
        wait = max(watched.began + timing.initial_delay - self._clock.time(), jitter)
        if wait > 0:
            await self._clock.sleep(wait)
        if kind != "startup":
            await watched.started.wait()
        while True:
            outcome = await self._ask(watched, kind, probe)
            result = tally.count(outcome.verdict)
            if result is not None and self._conclude(watched, kind, probe, result):
                return
            await self._clock.sleep(timing.period)

    async def _ask(self, watched: _Watched, kind: str, probe: v1.Probe) -> Outcome:
        """Asks, again at once when the asking itself failed; a bad answer is told in an event."""
        outcome = Outcome(Verdict.UNKNOWN)
        for _ in range(MAX_TRIES):
            outcome = await ask(probe, watched.target, self._runtime)
            if outcome.verdict is not Verdict.UNKNOWN:
                break
        name = watched.target.container.name
        self._figures.note(watched.pod, name, kind, outcome.verdict)
        if outcome.verdict is Verdict.FAILURE:
            self._events.warning("Unhealthy", f"{kind.capitalize()} probe failed: {outcome.output}", name)
        elif outcome.verdict is Verdict.UNKNOWN:
            text = f"{kind.capitalize()} probe errored and resulted in unknown state: {outcome.output}"
            self._events.warning("Unhealthy", text, name)
        return outcome

    def _conclude(self, watched: _Watched, kind: str, probe: v1.Probe, result: Verdict) -> bool:
        """Takes a result in; True when this probe has nothing more to ask."""
        success = result is Verdict.SUCCESS
        if kind == "readiness":
            changed, watched.ready = watched.ready is not success, success
        elif kind == "startup" and success:
            watched.started.set()
            changed = True
        else:
            changed = not success
            if changed:
                watched.failed = ProbeFailure(kind, probe.termination_grace_period_seconds)
        if changed:
            self._on_change()
        return kind == "startup" or (kind == "liveness" and not success)


def _probes_of(container: v1.Container) -> list[tuple[str, v1.Probe]]:
    pairs = (
        ("startup", container.startup_probe),
        ("readiness", container.readiness_probe),
        ("liveness", container.liveness_probe),
    )
    return [(kind, probe) for kind, probe in pairs if probe is not None]


def _known_status(pod: v1.Pod, target: ProbeTarget) -> v1.ContainerStatus | None:
    """What the API already says of this very container, from before the kubelet was restarted."""
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    found = (each for each in statuses if each.container_id.endswith(f"//{target.container_id}"))
    return next(found, None)
