"""Which images go when room is needed: a plan from facts, in the kubelet's manner, longest unused first.

An image frees only what no other image has. The steps that its build has kept go with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

STEP_LIFETIME = 24 * 3600  # seconds for which a build's steps are kept when no image has their layers


class Candidate(Struct, frozen=True):
    """An image as the plan sees it. ``kept`` is one that is in use or pinned; ``layers`` are numbers."""

    id: str
    used_at: int
    layers: frozenset[int]
    step: bool = False
    kept: bool = False


class Thresholds(Struct, frozen=True):
    """Percent of the file system in use: collection begins at ``high`` and goes on until ``low``.

    ``min_age`` is seconds since the last use before which an image stays.
    """

    high: int = 85
    low: int = 80
    min_age: int = 120

    def to_free(self, capacity: int, available: int) -> int:
        """Bytes to free; 0 while usage is below ``high``."""
        if capacity <= 0 or 100 - available * 100 // capacity < self.high:
            return 0
        return max(0, capacity * (100 - self.low) // 100 - available)


def plan(candidates: Sequence[Candidate], sizes: Mapping[int, int], wanted: int, oldest: int) -> list[str]:
    """The images to remove so that ``wanted`` bytes become free, or as many as there are.

    ``sizes`` are the bytes of each layer; images used at ``oldest`` (seconds since the epoch) or later stay.
    """
    holders = Counter(layer for candidate in candidates for layer in candidate.layers)
    chosen: list[str] = []
    freed = 0
    left = list(candidates)
    for image in sorted((c for c in candidates if not c.step and not c.kept and c.used_at < oldest), key=_age):
        if freed >= wanted:
            break
        left.remove(image)
        group = [image, *steps_of(image.layers, left)]
        left = [candidate for candidate in left if candidate not in group]
        for member in group:
            holders.subtract(member.layers)
            chosen.append(member.id)
        freed += sum(sizes.get(layer, 0) for layer in image.layers if not holders[layer])
    return chosen


def steps_of(removed: frozenset[int], left: Sequence[Candidate]) -> list[Candidate]:
    """The build steps that have only layers of a removed image, and not all of them another image's."""
    images = [candidate.layers for candidate in left if not candidate.step]
    return [
        candidate
        for candidate in left
        if candidate.step
        and not candidate.kept
        and candidate.layers <= removed
        and not any(candidate.layers <= layers for layers in images)
    ]


def expired_steps(candidates: Sequence[Candidate], now: int) -> list[Candidate]:
    """The build steps that no image has had for long: of stages that only lend files, of builds that failed."""
    images = [candidate.layers for candidate in candidates if not candidate.step]
    return [
        candidate
        for candidate in candidates
        if candidate.step
        and not candidate.kept
        and candidate.used_at < now - STEP_LIFETIME
        and not any(candidate.layers <= layers for layers in images)
    ]


def _age(candidate: Candidate) -> tuple[int, str]:
    return candidate.used_at, candidate.id
