"""Conditions: finding one by its type, and setting one so that its transition time tells when the status last changed.

Serves every object whose conditions have a type, a status and a lastTransitionTime: pods, nodes, deployments, claims.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import msgspec

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"


class Condition(Protocol):
    """The part that all conditions have."""

    @property
    def type(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def last_transition_time(self) -> str: ...


C = TypeVar("C", bound=Condition)


def find(conditions: Iterable[C], kind: str) -> C | None:
    """The condition of that type, or None."""
    return next((each for each in conditions if each.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether the condition is there and True."""
    found = find(conditions, kind)
    return found is not None and found.status == TRUE


def with_condition(conditions: Iterable[C], new: C, now: str) -> tuple[C, ...]:
    """The conditions with ``new`` set. Its transition time is ``now`` when the status changes, else the old one's."""
    listed = tuple(conditions)
    old = find(listed, new.type)
    changed = old is None or old.status != new.status
    moment = (new.last_transition_time or now) if old is None or changed else old.last_transition_time
    stamped: Any = msgspec.structs.replace(new, last_transition_time=moment)  # type: ignore[type-var]
    if old is None:
        return (*listed, stamped)
    return tuple(stamped if each.type == new.type else each for each in listed)


def without(conditions: Iterable[C], kind: str) -> tuple[C, ...]:
    """The conditions without that type."""
    return tuple(each for each in conditions if each.type != kind)
