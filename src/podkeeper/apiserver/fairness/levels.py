"""Priority levels and the seats they share: who has how many, who may borrow, and who runs when one is given back.

A level always gets its nominal seats at once; what it has lent comes back as the borrowers' requests end. Beyond
them it borrows what the others neither use nor keep (their nominal seats less the lendable part), up to its own
borrowing limit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from podkeeper.apiserver.fairness.queues import Queues, Waiting
from podkeeper.foundation.exposition import Histogram

#: Upstream's buckets of the seconds that a request waits.
WAIT_BOUNDS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
#: Upstream's bound of the seats that one request can take, and the part of a level that one request can take.
MOST_SEATS, MOST_PART = 10, 0.15


class Dropped(Struct):
    """How often requests were sent away lately: the more, the later they are asked to come again (1 to 32 s)."""

    second: int = 0
    count: int = 0
    retry_after: int = 1

    def note(self, now: float) -> int:
        """One more; returns the seconds for Retry-After."""
        if now >= self.second + self.retry_after:
            if self.count >= 3 * self.retry_after:
                self.retry_after = min(32, self.retry_after * 2)
            elif self.count < self.retry_after:
                self.retry_after = max(1, self.retry_after - 1)
            self.second, self.count = int(now), 0
        self.count += 1
        return self.retry_after


class Tally:
    """What has become of the requests of one flow schema at one level. ``waits`` are seconds in a queue of those that
    waited at all, ``vain`` of those that were sent away."""

    __slots__ = ("ended", "rejected", "schema", "seats", "started", "vain", "waiting", "waits")

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.started = self.ended = self.seats = self.waiting = 0
        self.rejected: Counter[str] = Counter()
        self.waits, self.vain = Histogram(WAIT_BOUNDS), Histogram(WAIT_BOUNDS)

    @property
    def running(self) -> int:
        """Requests that run now."""
        return self.started - self.ended


class Level:
    """One PriorityLevelConfiguration at work. ``queues`` is None where nothing may wait. What is exempt takes no
    seats."""

    def __init__(self, name: str, uid: str = "", *, exempt: bool = False) -> None:
        self.name, self.uid, self.exempt = name, uid, exempt
        self.nominal = self.least = self.most = 0
        self.queues: Queues | None = None
        self.used = 0
        self.tallies: dict[str, Tally] = {}
        self.dropped = Dropped()

    def __repr__(self) -> str:
        return f"<Level {self.name} uses {self.used} of {self.nominal}, {self.queues!r}>"

    @property
    def held(self) -> int:
        """Seats that nobody else can have."""
        return max(self.used, self.least)

    @property
    def running(self) -> int:
        """Requests that run now."""
        return sum(each.running for each in self.tallies.values())

    @property
    def dispatched(self) -> int:
        """Requests that were let run."""
        return sum(each.started for each in self.tallies.values())

    @property
    def rejected(self) -> Counter[str]:
        """Requests that were sent away, by the reason."""
        return sum((each.rejected for each in self.tallies.values()), Counter[str]())

    def tally(self, schema: str) -> Tally:
        """Where the requests of a flow schema are counted."""
        return self.tallies.get(schema) or self.tallies.setdefault(schema, Tally(schema))

    @property
    def most_seats(self) -> int:
        """What one request can take at most."""
        return max(1, min(MOST_SEATS, math.ceil(self.nominal * MOST_PART)))


class Seats:
    """All levels of a server with ``total`` seats between them."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.levels: dict[str, Level] = {}
        self._held = 0

    def configure(self, trees: Iterable[Mapping[str, Any]]) -> None:
        """Takes over these PriorityLevelConfigurations. What runs and waits goes on; what waits in a level that is
        gone runs at once."""
        configured = {tree["metadata"]["name"]: tree for tree in trees}
        gone = [level for name, level in self.levels.items() if name not in configured]
        levels = {name: self.levels.get(name) or Level(name) for name in configured}
        shares = {name: _shares(tree) for name, tree in configured.items()}
        everything = sum(shares.values()) or 1
        self.levels = levels
        for name, tree in configured.items():
            _configure(levels[name], tree, math.ceil(self.total * shares[name] / everything))
        for level in levels.values():
            limit = _borrowing_limit(configured[level.name])
            others = sum(each.nominal - each.least for each in levels.values() if each is not level)
            borrowed = others if limit is None else min(others, math.ceil(level.nominal * limit / 100))
            level.most = level.nominal + borrowed
        for level in gone:
            self._release_all(level)
        self.recount()

    def recount(self) -> None:
        """Adds up anew what is held."""
        self._held = sum(level.held for level in self.levels.values())

    def take(self, level: Level, seats: int) -> bool:
        """Takes seats for a request that is to run now, if nobody waits before it; False if it has to wait."""
        if not seats:  # of an exempt level
            return True
        if level.queues or not self._free(level, seats):
            return False
        self._seat(level, seats)
        return True

    def give_back(self, level: Level, seats: int) -> None:
        """A request has ended; ``dispatch`` lets the next ones run."""
        before = level.held
        level.used -= seats
        self._held += level.held - before

    def dispatch(self) -> None:
        """Lets everyone run who may: in turn one of each level, so that none empties the borrowed seats alone."""
        progress = True
        while progress:
            progress = False
            for level in self.levels.values():
                waiting = level.queues.head() if level.queues else None
                if waiting is not None and self._free(level, waiting.seats):
                    self._run_next(level)
                    progress = True

    def _run_next(self, level: Level) -> None:
        assert level.queues is not None
        waiting = level.queues.take()
        self._seat(level, waiting.seats)
        waiting.wake()

    def _free(self, level: Level, seats: int) -> bool:
        wanted = level.used + seats
        if level.exempt or wanted <= level.nominal or not level.used:
            return True
        held_by_others = self._held - level.held
        return wanted <= level.most and held_by_others + wanted <= self.total

    def _seat(self, level: Level, seats: int) -> None:
        before = level.held
        level.used += seats
        self._held += level.held - before

    def _release_all(self, level: Level) -> None:
        while level.queues:
            waiting: Waiting = level.queues.take()
            level.used += waiting.seats
            waiting.wake()


def _shares(tree: Mapping[str, Any]) -> int:
    shares = _limits(tree).get("nominalConcurrencyShares")
    return int(shares if shares is not None else 0 if _is_exempt(tree) else 30)


def _limits(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = tree.get("spec") or {}
    return spec.get("exempt" if _is_exempt(tree) else "limited") or {}


def _is_exempt(tree: Mapping[str, Any]) -> bool:
    return bool((tree.get("spec") or {}).get("type") == "Exempt")


def _borrowing_limit(tree: Mapping[str, Any]) -> int | None:
    limit = _limits(tree).get("borrowingLimitPercent")
    return None if limit is None else int(limit)


def _configure(level: Level, tree: Mapping[str, Any], nominal: int) -> None:
    limits = _limits(tree)
    level.uid = tree["metadata"].get("uid", "")
    level.exempt = _is_exempt(tree)
    level.nominal = nominal
    level.least = nominal - round(nominal * (limits.get("lendablePercent") or 0) / 100)
    response = limits.get("limitResponse") or {}
    queuing = response.get("queuing") or {}
    wanted = (queuing.get("queues") or 64, queuing.get("handSize") or 8, queuing.get("queueLengthLimit") or 50)
    if response.get("type") != "Queue":
        if not level.queues:
            level.queues = None
    elif level.queues is None or not level.queues:
        level.queues = Queues(*wanted)
    else:
        level.queues.length = wanted[2]  # those who wait keep their places; the new number of queues counts later
