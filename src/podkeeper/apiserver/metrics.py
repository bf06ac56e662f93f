"""What /metrics tells of requests, with upstream's names; other parts of the server add families of their own.

A request costs one look-up and a few additions. Names from paths become labels only where such a resource is served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import exposition
from podkeeper.apiserver.exposition import Family, Histogram, Labels, Sample, single
from podkeeper.apiserver.requestinfo import RequestInfo

#: Upstream's buckets of request durations, in seconds.
_SHORT = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
_BOUNDS = (*_SHORT, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_CAPACITY = 8192
_VERBS = {"create": "POST", "update": "PUT"}
_CONNECTING = frozenset({"attach", "exec", "portforward", "proxy"})
_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/metrics", "/version"})
_READING = frozenset({"get", "list", "watch", "head", "options"})

#: What is served now, by (group, version, plural).
Served = Callable[[], Mapping[tuple[str, str, str], Resource]]


class _Series:
    """Requests that have all labels but the code in common."""

    __slots__ = ("codes", "durations", "labels", "running")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.codes: dict[int, int] = {}
        self.durations = Histogram(_BOUNDS)
        self.running = 0


class RequestMetrics:
    """Counts requests. ``results`` counts outcomes of authentication and authorization by (name, result)."""

    def __init__(self, served: Served = dict) -> None:
        self._served = served
        self._series: dict[tuple[str, ...], _Series] = {}
        self.running = {"mutating": 0, "readOnly": 0}
        self.results: Counter[tuple[str, str]] = Counter()
        self._families: list[Family] = [
            Family("apiserver_request_total", "counter", "Requests by verb, resource and code.", self._totals),
            Family("apiserver_request_duration_seconds", "histogram", "Seconds from request to answer.", self._times),
            Family("apiserver_longrunning_requests", "gauge", "Watches and streams that run now.", self._long_running),
            Family("apiserver_current_inflight_requests", "gauge", "Requests that run now.", self._inflight),
            self._outcomes("authentication_attempts", "Requests by the outcome of authentication."),
            self._outcomes("authorization_attempts_total", "Requests by the outcome of authorization."),
        ]

    def add(self, families: Iterable[Family]) -> None:
        """Shows these too."""
        self._families += families

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Adds a figure that is read when asked for."""
        self._families.append(single(name, "gauge", text, read))

    def count(self, info: RequestInfo, code: int, seconds: float | None) -> None:
        """Notes one answer; without ``seconds`` it is one that goes on."""
        series = self.series(info)
        series.codes[code] = series.codes.get(code, 0) + 1
        if seconds is not None:
            series.durations.observe(seconds)

    def series(self, info: RequestInfo) -> _Series:
        """Where requests like this one are counted."""
        key = (info.verb, info.group, info.version, info.resource, info.subresource, _scope(info))
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= _CAPACITY or not self._is_served(info):
                key = (info.verb, "", "", "", info.path if info.path in _PATHS else "", "")
                series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series(_labels(key))
        return series

    def text(self) -> str:
        """All figures in the exposition format."""
        return exposition.render(self._families)

    def _is_served(self, info: RequestInfo) -> bool:
        if not info.is_resource:
            return False
        resource = self._served().get((info.group, info.version, info.resource))
        return resource is not None and (not info.subresource or info.subresource in resource.subresources)

    def _totals(self) -> Iterator[Sample]:
        for series in self._series.values():
            for code, count in sorted(series.codes.items()):
                yield {"code": str(code), "dry_run": "", **series.labels}, count

    def _times(self) -> Iterator[tuple[Labels, Histogram]]:
        for series in self._series.values():
            if any(series.durations.counts):
                yield {"dry_run": "", **series.labels}, series.durations

    def _long_running(self) -> Iterator[Sample]:
        for series in self._series.values():
            if series.running:
                yield series.labels, series.running

    def _inflight(self) -> Iterator[Sample]:
        for kind, count in self.running.items():
            yield {"request_kind": kind}, count

    def _outcomes(self, name: str, text: str) -> Family:
        def read() -> Iterator[Sample]:
            for (counted, result), count in sorted(self.results.items()):
                if counted == name:
                    yield {"result": result}, count

        return Family(name, "counter", text, read)


def request_kind(info: RequestInfo) -> str:
    """Mutating or readOnly, as upstream counts requests in flight."""
    return "readOnly" if info.verb in _READING else "mutating"


def _scope(info: RequestInfo) -> str:
    if not info.is_resource:
        return ""
    if info.name:
        return "resource"
    return "namespace" if info.namespace else "cluster"


def _labels(key: tuple[str, ...]) -> Labels:
    verb, group, version, resource, subresource, scope = key
    shown = "CONNECT" if subresource in _CONNECTING else _VERBS.get(verb, verb.upper())
    names = {"group": group, "resource": resource, "scope": scope, "subresource": subresource}
    return {"component": "apiserver", **names, "verb": shown, "version": version}
