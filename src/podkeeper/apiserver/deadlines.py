"""How long a request may take, and the end of those that take longer: 504, as upstream's request timeout.

One timer serves all requests of a server; a request that is in time costs two changes of a dict.
"""

from __future__ import annotations

import asyncio
import re

from podkeeper.api.errors import ApiError, bad_request, timeout
from podkeeper.apiserver.requestinfo import RequestInfo

_LONG_RUNNING_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)(?P<unit>[^\d.]*)")


def is_long_running(info: RequestInfo) -> bool:
    """Requests that last as long as the client wants: watches and streams."""
    if info.verb in ("watch", "proxy"):
        return True
    return info.is_resource and info.subresource in _LONG_RUNNING_SUBRESOURCES


def parse_duration(text: str) -> float:
    """Seconds of a duration in Go's form (``1m30s``). Raises ValueError in Go's words."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    seconds, position = 0.0, 0
    while position < len(rest):
        found = _DURATION.match(rest, position)
        if found is None:
            break
        unit = found["unit"]
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        seconds += float(found["number"]) * _UNITS[unit]
        position = found.end()
    if not rest or position < len(rest):
        raise ValueError(f'time: invalid duration "{text}"')
    return -seconds if text[0] == "-" else seconds


class Deadline:
    """One request's end, if it takes that long."""

    __slots__ = ("at", "cancelling", "expired", "task")

    def __init__(self, task: asyncio.Task[object], at: float) -> None:
        self.task, self.at, self.expired = task, at, False
        self.cancelling = task.cancelling()

    def refusal(self) -> ApiError | None:
        """The answer to the cancellation that has just been caught; None when it was not this deadline's alone."""
        if not self.expired or self.task.uncancel() > self.cancelling:
            return None
        return timeout("Timeout: request did not complete within the allotted timeout")


class Deadlines:
    """The running requests of a server. ``longest`` in seconds is also what a request gets that names no time."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._loop = asyncio.get_running_loop()
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._running)

    def seconds(self, info: RequestInfo) -> float:
        """What this request may take, by its ``timeout`` parameter. Raises 400 for one that cannot be read."""
        asked = info.first("timeout") if info.query else ""
        if not asked:
            return self._longest
        try:
            wanted = parse_duration(asked)
        except ValueError as error:
            raise bad_request(f"invalid timeout specified in the request URL - {error}") from None
        return wanted if 0 < wanted < self._longest else self._longest

    def enter(self, seconds: float) -> Deadline:
        """From now on the current task is cancelled when it takes longer."""
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(task, self._loop.time() + seconds)
        self._running[deadline] = None
        if self._timer is None or deadline.at < self._timer.when():
            self._schedule(deadline.at)
        return deadline

    def leave(self, deadline: Deadline) -> None:
        """The request is answered."""
        self._running.pop(deadline, None)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for deadline in [each for each in self._running if each.at <= now]:
            del self._running[deadline]
            deadline.expired = True
            deadline.task.cancel()
        if self._running:
            self._schedule(min(each.at for each in self._running))
