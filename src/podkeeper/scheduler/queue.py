"""The scheduling queue: which pod is next, and when one that did not fit is worth another try.

    active --pop--> in a cycle --bound--> gone
      ^                |
      |                +--does not fit--> waiting --an event that may cure it, or 5 minutes--+
      +------------------------- back-off over <-------------------------------------------+

Pods come out by priority, then by age. Back-off doubles from 1 s to 10 s with each attempt, as upstream.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock
from podkeeper.scheduler.pod_facts import PodFacts

BASE_SECONDS, MAX_SECONDS = 1.0, 10.0
LONGEST_WAIT = 300.0


class _Entry(Struct):
    facts: PodFacts
    order: tuple[int, float, int]
    due: float = 0.0
    plugins: frozenset[str] = field(default_factory=frozenset)


class SchedulingQueue:
    """Pods by uid. All calls but ``pop`` and ``run`` return at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active: list[tuple[tuple[int, float, int], str]] = []
        self._entries: dict[str, _Entry] = {}
        self._ready: set[str] = set()
        self._waiting: set[str] = set()
        self._timers: list[tuple[float, int, str, Callable[[], None]]] = []
        self._since: dict[str, float] = {}
        self._backoff = BackOff(BASE_SECONDS, MAX_SECONDS)
        self._count = 0
        #: Pods that came, by (event, queue).
        self.incoming: Counter[tuple[str, str]] = Counter()
        self._news, self._sooner = asyncio.Event(), asyncio.Event()

    def __repr__(self) -> str:
        backing_off = len(self._entries) - len(self._ready) - len(self._waiting)
        return f"<SchedulingQueue active={len(self._ready)} backing_off={backing_off} waiting={len(self._waiting)}>"

    def pending(self) -> Mapping[str, int]:
        """How many pods wait, by upstream's names of the queues."""
        active, waiting = len(self._ready), len(self._waiting)
        return {"active": active, "backoff": len(self._entries) - active - waiting, "unschedulable": waiting}

    def history(self, uid: str) -> tuple[int, float]:
        """How often a pod has failed, and since when (monotonic seconds) it has been known here."""
        return self._backoff.failures(uid), self._since.get(uid, self._clock.monotonic())

    def add(self, facts: PodFacts) -> None:
        """A pod to be placed, new or changed; a changed one is tried at once."""
        uid = facts.pod.metadata.uid
        present = self._entries.get(uid)
        self._since.setdefault(uid, self._clock.monotonic())
        if uid not in self._ready:
            self.incoming["PodAdd" if present is None else "PodUpdate", "active"] += 1
        self._count += 1
        order = present.order if present else (-facts.priority, self._clock.monotonic(), self._count)
        self._entries[uid] = _Entry(facts, (-facts.priority, *order[1:]))
        self._activate(uid)

    def remove(self, uid: str) -> None:
        """A pod that is placed, or gone."""
        self._entries.pop(uid, None)
        self._ready.discard(uid)
        self._waiting.discard(uid)
        self._backoff.reset(uid)
        self._since.pop(uid, None)

    async def pop(self) -> PodFacts:
        """The next pod, which leaves the queue; ``fail`` brings it back."""
        while not self._ready:
            self._news.clear()
            await self._news.wait()
        return self._pop()

    def pop_nowait(self) -> PodFacts | None:
        """The next pod if there is one."""
        return self._pop() if self._ready else None

    def fail(self, facts: PodFacts, plugins: Iterable[str]) -> None:
        """The pod did not fit because of these plugins; it waits for an event that concerns one of them."""
        uid = facts.pod.metadata.uid
        if uid in self._entries:  # it was changed meanwhile and is to be tried anyway
            return
        now = self._clock.monotonic()
        self._count += 1
        due = now + self._backoff.next_delay(uid)
        self._entries[uid] = entry = _Entry(facts, (-facts.priority, now, self._count), due, frozenset(plugins))
        self._waiting.add(uid)
        self.incoming["ScheduleAttemptFailure", "unschedulable"] += 1
        self._at(now + LONGEST_WAIT, uid, lambda: self._retry(uid, entry))

    def retry_later(self, facts: PodFacts) -> None:
        """The pod would have fitted but something failed: it is tried again after its back-off."""
        self.fail(facts, ())
        uid = facts.pod.metadata.uid
        if uid in self._waiting:
            self._retry(uid, self._entries[uid])

    def wake(self, plugins: Iterable[str]) -> None:
        """Something happened that may change the mind of one of these plugins."""
        concerned = frozenset(plugins)
        for uid in list(self._waiting):
            entry = self._entries[uid]
            if entry.plugins & concerned or not entry.plugins:
                self._retry(uid, entry)

    async def run(self) -> None:
        """Ends back-offs when they are over; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._sooner.clear()
                sleeper = tasks.create_task(self._run_timers()) if self._timers else None
                await self._sooner.wait()
                if sleeper is not None:
                    sleeper.cancel()

    async def _run_timers(self) -> None:
        while self._timers:
            if (wait := self._timers[0][0] - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            else:
                heapq.heappop(self._timers)[3]()

    def _pop(self) -> PodFacts:
        while True:
            _, uid = heapq.heappop(self._active)
            if uid in self._ready:
                self._ready.discard(uid)
                return self._entries.pop(uid).facts

    def _activate(self, uid: str) -> None:
        self._waiting.discard(uid)
        self._ready.add(uid)
        heapq.heappush(self._active, (self._entries[uid].order, uid))
        self._news.set()

    def _retry(self, uid: str, entry: _Entry) -> None:
        if self._entries.get(uid) is not entry or uid not in self._waiting:
            return
        self._waiting.discard(uid)
        if entry.due <= self._clock.monotonic():
            self.incoming["EventOccurred", "active"] += 1
            self._activate(uid)
        else:
            self.incoming["EventOccurred", "backoff"] += 1
            self._at(entry.due, uid, lambda: self._back_off_over(uid, entry))

    def _back_off_over(self, uid: str, entry: _Entry) -> None:
        if self._entries.get(uid) is entry and uid not in self._ready:
            self.incoming["BackoffComplete", "active"] += 1
            self._activate(uid)

    def _at(self, when: float, uid: str, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, uid, action))
        if self._timers[0][1] == self._count:
            self._sooner.set()
