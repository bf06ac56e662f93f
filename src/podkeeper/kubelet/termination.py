"""Ending containers: preStop hook, stop signal, grace, SIGKILL; of a whole pod, sidecars last and in reverse order.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination and KEP-753.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.lifecycle import HookFailure, HookTarget, run_hook
from podkeeper.kubelet.pod_events import PodEvents
from podkeeper.kubelet.pods import container_named, sidecars
from podkeeper.kubelet.waiting import all_settled, within
from podkeeper.runtime.cri import ContainerState, ContainerStatus, RuntimeService

MINIMUM_GRACE = 2.0


class Ending(Struct, frozen=True):
    """One container to end. ``grace`` in seconds includes the preStop hook; ``message`` is the Killing event's."""

    container: ContainerStatus
    grace: float
    message: str = ""


class Terminator:
    """Ends containers of one pod; ``hooked`` remembers whose preStop hook has run, for when ending starts over."""

    def __init__(self, pod: v1.Pod, runtime: RuntimeService, events: PodEvents, clock: Clock) -> None:
        self._pod, self._runtime, self._events, self._clock = pod, runtime, events, clock
        self._hooked: set[str] = set()
        self._announced: set[str] = set()

    async def end(self, ending: Ending, pod_ip: str = "") -> None:
        """Ends one container and returns when it has exited."""
        container, began = ending.container, self._clock.monotonic()
        if container.id not in self._announced:
            self._announced.add(container.id)
            message = ending.message or f"Stopping container {container.name}"
            self._events.normal("Killing", message, container.name)
        if ending.grace > 0:
            await self._pre_stop(container, ending.grace, pod_ip)
        left = ending.grace - (self._clock.monotonic() - began)
        await self._runtime.stop_container(container.id, max(left, MINIMUM_GRACE) if ending.grace > 0 else ending.grace)

    async def end_all(self, running: Sequence[ContainerStatus], grace: float, pod_ip: str = "") -> None:
        """Ends a pod's containers together, then its sidecars one by one in what is left of the grace period."""
        began = self._clock.monotonic()
        names = [each.name for each in sidecars(self._pod)]
        first = [each for each in running if each.name not in names]
        await all_settled(*(self.end(Ending(each, grace), pod_ip) for each in first))
        last = sorted((each for each in running if each.name in names), key=lambda each: -names.index(each.name))
        for container in last:
            left = grace - (self._clock.monotonic() - began)
            await self.end(Ending(container, max(left, MINIMUM_GRACE) if grace > 0 else grace), pod_ip)

    async def _pre_stop(self, container: ContainerStatus, grace: float, pod_ip: str) -> None:
        spec = container_named(self._pod, container.name)
        if spec is None or spec.lifecycle is None or spec.lifecycle.pre_stop is None:
            return
        if container.id in self._hooked or container.state is not ContainerState.RUNNING:
            return
        self._hooked.add(container.id)
        hook = run_hook(spec.lifecycle.pre_stop, HookTarget(spec, container.id, pod_ip), self._runtime, self._clock)
        try:
            await within(grace, hook, self._clock)
        except (HookFailure, TimeoutError):
            self._events.warning("FailedPreStopHook", "PreStopHook failed", container.name)
