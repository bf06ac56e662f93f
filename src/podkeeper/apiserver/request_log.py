"""A line for each request, as upstream logs them from ``--v=3`` on. Nothing of headers or bodies is in it.

The query of what is passed on to a container or another server is left out: commands and forms have secrets in them.
"""

from __future__ import annotations

import json
import logging

from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Request

log = logging.getLogger("podkeeper.requests")

_PASSED_ON = frozenset({"attach", "exec", "portforward", "proxy"})


def is_wanted() -> bool:
    """Whether anybody reads it; asked once, not with each request."""
    return log.isEnabledFor(logging.DEBUG)


def tell(request: Request, info: RequestInfo, identity: str, code: int, seconds: float) -> None:
    """One request that is answered, or whose answer has begun."""
    uri = request.target.decode("latin-1")
    if info.subresource in _PASSED_ON or info.verb == "proxy":
        uri = uri.partition("?")[0]
    told = {
        "verb": info.verb.upper() if info.is_resource else request.method,
        "URI": uri,
        "latency": f"{seconds * 1000:.3f}ms",
        "userAgent": request.header(b"user-agent")[:1024],
        "audit-ID": identity,
        "srcIP": request.peer.address,
    }
    log.debug('"HTTP" %s resp=%d', " ".join(f"{name}={json.dumps(value)}" for name, value in told.items()), code)
