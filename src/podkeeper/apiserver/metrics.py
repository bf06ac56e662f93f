"""What /metrics tells of requests, with upstream's names; other parts of the server add families of their own.

A request costs one look-up and a few additions. Names from paths become labels only where such a resource is served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation import exposition
from podkeeper.foundation.exposition import Family, Histogram, Labels, Sample, single

#: Upstream's buckets of request durations, in seconds.
_SHORT = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
_BOUNDS = (*_SHORT, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
#: Those of durations without the wait in queues, and of answers' bytes.
_SLI_BOUNDS = (
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.25,
    1.5,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    10.0,
    15.0,
    20.0,
    30.0,
    45.0,
    60.0,
)
_SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_CAPACITY = 8192
_VERBS = {"create": "POST", "update": "PUT"}
_CONNECTING = frozenset({"attach", "exec", "portforward", "proxy"})
_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/metrics", "/version"})
_READING = frozenset({"get", "list", "watch", "head", "options"})

#: What is served now, by (group, version, plural).
Served = Callable[[], Mapping[tuple[str, str, str], Resource]]


class Kind:
    """Requests that have all labels but code and dry run in common. ``running`` counts streams that go on."""

    __slots__ = ("labels", "prompt", "running", "sizes", "terminated")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.prompt = Histogram(_SLI_BOUNDS)
        self.sizes = Histogram(_SIZES) if labels["verb"] in ("GET", "LIST") else None
        self.running = 0
        self.terminated: Counter[int] = Counter()


class _Series:
    """Requests of a kind that have all labels but the code in common."""

    __slots__ = ("codes", "dry_run", "durations", "kind")

    def __init__(self, kind: Kind, dry_run: str) -> None:
        self.kind, self.dry_run = kind, dry_run
        self.codes: dict[int, int] = {}
        self.durations = Histogram(_BOUNDS)

    def count(self, code: int, seconds: float, waited: float, size: int) -> None:
        """Notes one answer, which took so long, the wait for a seat included."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.durations.observe(seconds)
        self.kind.prompt.observe(seconds - waited)
        if self.kind.sizes is not None:
            self.kind.sizes.observe(size)


class RequestMetrics:
    """Counts requests. ``results`` counts outcomes of authentication and authorization by (name, result)."""

    def __init__(self, served: Served = dict) -> None:
        self._served = served
        self._series: dict[tuple[str, ...], _Series] = {}
        self._kinds: dict[tuple[str, ...], Kind] = {}
        self.running = {"mutating": 0, "readOnly": 0}
        self.results: Counter[tuple[str, str]] = Counter()
        self._families: list[Family] = [
            Family("apiserver_request_total", "counter", "Requests by verb, resource and code.", self._totals),
            Family("apiserver_request_duration_seconds", "histogram", "Seconds from request to answer.", self._times),
            Family("apiserver_request_sli_duration_seconds", "histogram", "The same without queues.", self._prompt),
            Family("apiserver_response_sizes", "histogram", "Bytes of answers to GET and LIST.", self._sizes),
            Family("apiserver_request_terminations_total", "counter", "Requests that were ended.", self._terminations),
            Family("apiserver_requested_deprecated_apis", "gauge", "Deprecated APIs in use.", self._deprecated),
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

    def count_stream(self, info: RequestInfo, code: int) -> Kind:
        """Notes an answer that goes on; ``running`` of what is returned counts those that do."""
        series = self.series(info)
        series.codes[code] = series.codes.get(code, 0) + 1
        return series.kind

    def terminate(self, info: RequestInfo, code: int) -> None:
        """Notes that the server ended a request for its own sake."""
        self.series(info).kind.terminated[code] += 1

    def series(self, info: RequestInfo) -> _Series:
        """Where requests like this one are counted."""
        dry_run = _dry_run(info) if info.query else ""
        key = (info.verb, info.group, info.version, info.resource, info.subresource, _scope(info), dry_run)
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= _CAPACITY or not self._is_served(info):
                key = (info.verb, "", "", "", info.path if info.path in _PATHS else "", "", dry_run)
                series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series(self._kind(key[:-1]), dry_run)
        return series

    def _kind(self, key: tuple[str, ...]) -> Kind:
        found = self._kinds.get(key)
        if found is None:
            found = self._kinds[key] = Kind(_labels(key))
        return found

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
                yield {"code": str(code), "dry_run": series.dry_run, **series.kind.labels}, count

    def _times(self) -> Iterator[tuple[Labels, Histogram]]:
        for series in self._series.values():
            if any(series.durations.counts):
                yield {"dry_run": series.dry_run, **series.kind.labels}, series.durations

    def _prompt(self) -> Iterator[tuple[Labels, Histogram]]:
        return ((kind.labels, kind.prompt) for kind in self._kinds.values() if any(kind.prompt.counts))

    def _sizes(self) -> Iterator[tuple[Labels, Histogram]]:
        return ((kind.labels, kind.sizes) for kind in self._kinds.values() if kind.sizes and any(kind.sizes.counts))

    def _terminations(self) -> Iterator[Sample]:
        for kind in self._kinds.values():
            for code, count in sorted(kind.terminated.items()):
                yield {"code": str(code), **kind.labels}, count

    def _deprecated(self) -> Iterator[Sample]:
        served = self._served()
        for kind in self._kinds.values():
            names = {name: kind.labels[name] for name in ("group", "resource", "version")}
            resource = served.get((names["group"], names["version"], names["resource"]))
            if resource is not None and resource.deprecation:
                yield {**names, "removed_release": "", "subresource": kind.labels["subresource"]}, 1

    def _long_running(self) -> Iterator[Sample]:
        return ((kind.labels, kind.running) for kind in self._kinds.values() if kind.running)

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


def _dry_run(info: RequestInfo) -> str:
    said = info.query.get("dryRun") or ()
    return ",".join(sorted(set(said))) if all(each == "All" for each in said) else "invalid"


def _labels(key: tuple[str, ...]) -> Labels:
    verb, group, version, resource, subresource, scope = key
    shown = "CONNECT" if subresource in _CONNECTING else _VERBS.get(verb, verb.upper())
    names = {"group": group, "resource": resource, "scope": scope, "subresource": subresource}
    return {"component": "apiserver", **names, "verb": shown, "version": version}
