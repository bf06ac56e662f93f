"""How much an API server does at once, and for how long."""

from __future__ import annotations

from msgspec import Struct


class RequestLimits(Struct, frozen=True):
    """How much at once, and how long in seconds. The first two are added up to the seats that all requests share.

    Upstream's 400 and 200 are for servers with many cores. This one computes on one: more at once would not end
    sooner, it would only take the others' turns.
    """

    max_requests_inflight: int = 80
    max_mutating_requests_inflight: int = 40
    request_timeout: float = 60.0
    #: How long a server that is told to stop goes on serving while /readyz says that it will not be there.
    shutdown_delay: float = 0.0

    @property
    def seats(self) -> int:
        """What all requests share."""
        return max(1, self.max_requests_inflight + self.max_mutating_requests_inflight)
