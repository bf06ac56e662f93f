"""Request counts and a few gauges in Prometheus' text format, written without a metrics library: it is asked for
rarely."""

from __future__ import annotations

import time
from collections.abc import Callable

from podkeeper.foundation.http import Answer, Request, Response, Streaming


class RequestMetrics:
    """Counts answers by method and code."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._started = time.time()

    def count(self, request: Request, answer: Answer) -> None:
        """Notes one answer."""
        status = answer.status if isinstance(answer, Response | Streaming) else 101
        key = (request.method, status)
        self._counts[key] = self._counts.get(key, 0) + 1

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Adds a figure that is read when asked for."""
        self._gauges[name] = (help_text, read)

    def text(self) -> str:
        """All figures in the exposition format."""
        lines = [
            "# HELP apiserver_request_total Counter of apiserver requests broken out by verb and HTTP response code.",
            "# TYPE apiserver_request_total counter",
        ]
        for (method, code), count in sorted(self._counts.items()):
            lines.append(f'apiserver_request_total{{verb="{method}",code="{code}"}} {count}')
        lines += [
            "# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.",
            "# TYPE process_start_time_seconds gauge",
            f"process_start_time_seconds {self._started:.3f}",
        ]
        for name, (help_text, read) in self._gauges.items():
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", f"{name} {read():g}"]
        return "\n".join(lines) + "\n"
