"""What a controller has done and its local copy does not show yet: as long as that is so, it must not count again.

What was created is expected to appear, what was deleted to go; an expectation that is not met within half a minute
is given up: what came and went while the watch was broken is never seen.
"""

from __future__ import annotations

from collections.abc import Hashable

from msgspec import Struct, field

from podkeeper.foundation.clock import Clock

PATIENCE_SECONDS = 30.0


class _Open(Struct):
    since: float
    appearing: set[str] = field(default_factory=set)
    going: set[str] = field(default_factory=set)


class Expectations:
    """Per key of the controller."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[Hashable, _Open] = {}

    def __repr__(self) -> str:
        return f"<Expectations open={len(self._open)}>"

    def expect_created(self, key: Hashable, uid: str) -> None:
        """An object was created."""
        self._entry(key).appearing.add(uid)

    def expect_deleted(self, key: Hashable, uid: str) -> None:
        """An object was deleted."""
        self._entry(key).going.add(uid)

    def appeared(self, key: Hashable, uid: str) -> None:
        """The local copy shows an object."""
        if key in self._open:
            self._open[key].appearing.discard(uid)

    def went(self, key: Hashable, uid: str) -> None:
        """The local copy shows that an object is gone, or going."""
        if key in self._open:
            self._open[key].appearing.discard(uid)
            self._open[key].going.discard(uid)

    def seconds_left(self, key: Hashable) -> float:
        """0 when the local copy may be counted on; else when it may at the latest, for no event may ever come."""
        entry = self._open.get(key)
        if entry is None:
            return 0.0
        left = entry.since + PATIENCE_SECONDS - self._clock.monotonic()
        if (entry.appearing or entry.going) and left > 0:
            return left
        del self._open[key]
        return 0.0

    def forget(self, key: Hashable) -> None:
        """The key's object is gone."""
        self._open.pop(key, None)

    def _entry(self, key: Hashable) -> _Open:
        entry = self._open.setdefault(key, _Open(self._clock.monotonic()))
        entry.since = self._clock.monotonic()
        return entry
