"""What becomes of an event: a new object, a higher count on one that was sent before, or nothing.

Rules and numbers are those of client-go's ``tools/record`` (its EventCorrelator):
- 25 events per source and object at once, then one in five minutes; the rest is dropped;
- the eleventh text of one type and reason about one object within ten minutes, and every later one, counts up one
  event "(combined from similar events)";
- the same event again counts up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct, field

from podkeeper.api.core import v1

BURST, REFILL_SECONDS = 25, 300.0
SIMILAR_EVENTS, SIMILAR_SECONDS = 10, 600.0
REMEMBERED = 4096
COMBINED = "(combined from similar events): "

V = TypeVar("V")


class Occurrence(Struct, frozen=True):
    """Something that happened at ``time`` (seconds since the epoch)."""

    involved: v1.ObjectReference
    type: str
    reason: str
    message: str
    time: float
    action: str = ""


class Sent(Struct):
    """One event object: how often it occurred so far. The recorder notes the object's name when it has created it."""

    first: float
    count: int = 0
    name: str = ""


class Plan(Struct, frozen=True):
    """Send ``message`` as event number ``sent.count`` of its object."""

    occurrence: Occurrence
    message: str
    sent: Sent


class _Allowance(Struct):
    tokens: float
    at: float


class _Similar(Struct):
    at: float
    messages: set[str] = field(default_factory=set)


class Recent(Generic[V]):
    """The most recently used values, a bounded number."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of ``key``, made now if there is none."""
        if key not in self._values:
            self._values[key] = make()
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]


class Correlator:
    """Decides for the events of one source."""

    def __init__(self) -> None:
        self._allowances: Recent[_Allowance] = Recent()
        self._similar: Recent[_Similar] = Recent()
        self._sent: Recent[Sent] = Recent()

    def plan(self, occurrence: Occurrence) -> Plan | None:
        """What to send; None when the object's allowance is used up."""
        about = object_of(occurrence.involved)
        kind = (*about, occurrence.type, occurrence.reason, occurrence.action)
        similar = self._similar_events(kind, occurrence)
        key: Hashable = kind if similar else (*kind, occurrence.involved.field_path, occurrence.message)
        message = COMBINED + occurrence.message if similar else occurrence.message
        sent = self._sent.get(key, lambda: Sent(occurrence.time))
        sent.count += 1
        if not self._allowed(occurrence):
            return None
        return Plan(occurrence, message, sent)

    def _similar_events(self, kind: Hashable, occurrence: Occurrence) -> bool:
        seen = self._similar.get(kind, lambda: _Similar(occurrence.time))
        if occurrence.time - seen.at > SIMILAR_SECONDS:
            seen.messages.clear()
        seen.at = occurrence.time
        seen.messages.add(occurrence.message)
        if len(seen.messages) < SIMILAR_EVENTS:
            return False
        seen.messages.pop()  # stays at the threshold, and small
        return True

    def _allowed(self, occurrence: Occurrence) -> bool:
        allowance = self._allowances.get(object_of(occurrence.involved), lambda: _Allowance(BURST, occurrence.time))
        passed = max(0.0, occurrence.time - allowance.at)
        allowance.tokens = min(BURST, allowance.tokens + passed / REFILL_SECONDS)
        allowance.at = occurrence.time
        if allowance.tokens < 1:
            return False
        allowance.tokens -= 1
        return True


def object_of(involved: v1.ObjectReference) -> tuple[str, ...]:
    """The object that is meant, whatever its version and whichever part of it."""
    return (involved.api_version, involved.kind, involved.namespace, involved.name, involved.uid)
