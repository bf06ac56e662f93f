"""Ends connections whose clients keep silent, or send a request too slowly: two timers for each connection.

silent --idle_timeout (head_timeout before the first request)--> closed
sending --head_timeout without a whole head, request_timeout without the rest--> refused with 408
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from podkeeper.foundation.http.server import Limits


class Client(Protocol):
    """What a connection tells of its client. ``held`` means that the client waits for us, not we for it."""

    @property
    def idle(self) -> bool: ...

    @property
    def held(self) -> bool: ...

    @property
    def headed(self) -> bool:
        """The head of the request that is being sent is complete."""
        ...

    def close(self) -> None: ...

    def refuse(self, status: int, message: str) -> None:
        """Answers, if nothing else is being answered, and closes."""
        ...


class Patience:
    """How long one client is waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, client: Client) -> None:
        self._loop, self._limits, self._client = loop, limits, client
        self._served = False
        self._silent_since = self._sending_since = loop.time()
        self._idle_timer: asyncio.TimerHandle | None = loop.call_later(self._longest_silence, self._check_idle)
        self._slow_timer: asyncio.TimerHandle | None = None

    def sends(self) -> None:
        """A part of a request has come, and there is more to come."""
        if self._slow_timer is None:
            self._sending_since = self._loop.time()
            self._slow_timer = self._loop.call_later(self._limits.head_timeout, self._check_slow)

    def has_sent(self) -> None:
        """The request is whole."""
        self._served = True
        if self._slow_timer is not None:
            self._slow_timer.cancel()
            self._slow_timer = None

    def answered(self) -> None:
        """The client has its answer; now it may be silent for a while."""
        self._silent_since = self._loop.time()

    def end(self) -> None:
        """Nobody is waited for any more."""
        for timer in (self._idle_timer, self._slow_timer):
            if timer is not None:
                timer.cancel()

    @property
    def _longest_silence(self) -> float:
        """Shorter before the first request, which is what a client connects for."""
        limits = self._limits
        return limits.idle_timeout if self._served else min(limits.head_timeout, limits.idle_timeout)

    def _check_idle(self) -> None:
        """Closes a connection on which nothing has happened; a busy one is looked at again later."""
        rest = self._longest_silence
        if self._client.idle:
            rest += self._silent_since - self._loop.time()
            if rest <= 0.001:
                self._client.close()
                return
        self._idle_timer = self._loop.call_later(max(rest, 0.01), self._check_idle)

    def _check_slow(self) -> None:
        now = self._loop.time()
        if self._client.held:
            self._sending_since = now
        limit = self._limits.request_timeout if self._client.headed else self._limits.head_timeout
        rest = self._sending_since + limit - now
        if rest <= 0.001:
            self._slow_timer = None
            self._client.refuse(408, "the request did not arrive in time")
            return
        self._slow_timer = self._loop.call_later(rest, self._check_slow)
