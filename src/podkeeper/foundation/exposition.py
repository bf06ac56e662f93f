"""Prometheus' text format, written without a metrics library: it is asked for rarely.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
#: A value and its labels; a moment in milliseconds since the epoch where it is not that of the question.
Sample = tuple[Labels, float] | tuple[Labels, float, int]


class Histogram:
    """Counts of values by upper bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counters:
    """Counters by the values of their labels in the order of ``labels``: ``counters[values] += 1``."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counts: Counter[tuple[str, ...]] = Counter()

    def __getitem__(self, values: tuple[str, ...]) -> int:
        return self._counts[values]

    def __setitem__(self, values: tuple[str, ...], count: int) -> None:
        self._counts[values] = count

    def drop(self, gone: Callable[[tuple[str, ...]], bool]) -> None:
        """Forgets those whose values are of something that is no more."""
        for values in [each for each in self._counts if gone(each)]:
            del self._counts[values]

    def family(self) -> Family:
        """How they are shown. A counter without labels is there from the beginning."""
        if not self._labels:
            return single(self._name, "counter", self._text, lambda: self._counts[()])
        return Family(self._name, "counter", self._text, self._read)

    def _read(self) -> Iterator[Sample]:
        for values, count in sorted(self._counts.items()):
            yield dict(zip(self._labels, values, strict=True)), count


class Histograms:
    """Histograms by the values of their labels, which come in the order of ``labels``."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._text, self._bounds, self._labels = name, text, bounds, labels
        self._histograms: dict[tuple[str, ...], Histogram] = {}

    def of(self, *values: str) -> Histogram:
        """The histogram of these values; who observes often keeps it."""
        found = self._histograms.get(values)
        if found is None:
            found = self._histograms[values] = Histogram(self._bounds)
        return found

    def family(self) -> Family:
        """How they are shown."""
        return Family(self._name, "histogram", self._text, self._read)

    def _read(self) -> Iterator[tuple[Labels, Histogram]]:
        for values, histogram in sorted(self._histograms.items()):
            yield dict(zip(self._labels, values, strict=True)), histogram


class Family(Struct, frozen=True):
    """Samples of one name. ``kind`` is counter, gauge or histogram; ``read`` gives the samples as they are."""

    name: str
    kind: str
    help: str
    read: Callable[[], Iterable[Sample | tuple[Labels, Histogram]]]

    def lines(self) -> Iterator[str]:
        """The family as text, nothing where it has no sample."""
        headed = False
        for labels, value, *moment in self.read():
            if not headed:
                headed = True
                yield f"# HELP {self.name} {self.help}"
                yield f"# TYPE {self.name} {self.kind}"
            if isinstance(value, Histogram):
                yield from _buckets(self.name, labels, value)
            else:
                yield " ".join([f"{self.name}{_braced(labels)}", _number(value), *map(str, moment)])


def single(name: str, kind: str, text: str, read: Callable[[], float]) -> Family:
    """A family of one sample without labels."""
    return Family(name, kind, text, lambda: [({}, read())])


def render(families: Iterable[Family]) -> str:
    """All families, by name."""
    ordered = sorted(families, key=lambda family: family.name)
    return "".join(f"{line}\n" for family in ordered for line in family.lines())


def _buckets(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    count = 0
    for bound, counted in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        count += counted
        text = "+Inf" if bound == float("inf") else _number(bound)
        yield f"{name}_bucket{_braced({**labels, 'le': text})} {count}"
    yield f"{name}_sum{_braced(labels)} {_number(histogram.total)}"
    yield f"{name}_count{_braced(labels)} {count}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
