"""How many seats a request takes: one, but for lists and for watches that begin with one.

As upstream (its list work estimator): a seat for every 100 kB that a list is estimated to have in memory at once.
A write takes one: its events have gone out to the watches before it is answered, so nothing of it is left to come.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from podkeeper.apiserver.requestinfo import RequestInfo, flag

_BYTES_PER_SEAT = 100_000
#: What one object is taken for; measuring each would cost more than it tells.
_OBJECT_BYTES = 2_000

#: Objects stored of the resource that a request names.
Count = Callable[[RequestInfo], int]


def seats(info: RequestInfo, most: int, count: Count) -> int:
    """Seats of a request in a level where one may have ``most`` of them."""
    if info.verb not in ("list", "watch") or info.name:
        return 1
    if info.verb == "watch" and not flag(info.query.get("sendInitialEvents")):
        return 1
    objects = count(info)
    limit = info.first("limit") if info.query else ""
    if limit.isdecimal() and len(limit) < 10 and 0 < int(limit) < objects:
        objects = int(limit)
    return max(1, min(most, math.ceil(objects * _OBJECT_BYTES / _BYTES_PER_SEAT)))
